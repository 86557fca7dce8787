"""The settings of the contract, by name, with their defaults."""

SETTINGS = {
    "listen": "127.0.0.1:8080",
    "database": "sqlite:lastseen.db",
    "public-url": None,
    "trusted-proxy": None,
    "return-host": None,
    "cookie-domain": None,
    "idle-timeout": "12h",
    "remembered-idle-timeout": "14d",
    "absolute-lifetime": "30d",
    "max-sessions-per-account": "1000",
    "touch-interval": "60s",
    "keep-expired": "30d",
    "keep-ended": "90d",
}
