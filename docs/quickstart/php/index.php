<?php
// A service with users of its own, whose sessions Lastseen keeps. Run it: php -S 127.0.0.1:3000 index.php
declare(strict_types=1);

const USERS = ['ada' => 'correct-horse-battery']; // Yours: a table, with hashes.
const COOKIE = ['httponly' => true, 'samesite' => 'Lax', 'path' => '/']; // And 'secure' => true, behind https.

function ask(string $path, string $type = 'application/json', string $body = ''): array
{
    $answer = @file_get_contents((getenv('SESSIONS') ?: 'http://127.0.0.1:8080') . "/api/v1$path", false,
        stream_context_create(['http' => [
            'method' => 'POST',
            'header' => ['Authorization: Bearer ' . getenv('APPLICATION_KEY'), "Content-Type: $type"],
            'content' => $body,
            'timeout' => 5,
        ]]));
    if ($answer === false) { // Unreachable, or an error: when in doubt, nobody is signed in.
        http_response_code(503);
        exit('Try again in a moment.');
    }
    return json_decode($answer, true, flags: JSON_THROW_ON_ERROR);
}

/** Behind a proxy: the address that the proxy says. */
function visit(): array
{
    return ['ip_address' => $_SERVER['REMOTE_ADDR'], 'user_agent' => $_SERVER['HTTP_USER_AGENT'] ?? ''];
}

/** Whose session the cookie is; asking counts as a use of it. */
function current_session(): ?array
{
    $token = $_COOKIE['shop'] ?? '';
    if (!is_string($token) || $token === '') return null;
    $form = http_build_query(['token' => $token] + visit());
    $session = ask('/introspect', 'application/x-www-form-urlencoded', $form);
    return $session['active'] ? $session : null;
}

$request = $_SERVER['REQUEST_METHOD'] . ' ' . parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
if ($request === 'POST /sign-in') {
    $name = (string) ($_POST['name'] ?? '');
    if (!isset(USERS[$name]) || USERS[$name] !== ($_POST['password'] ?? '')) {
        http_response_code(401);
        exit('That is not right.');
    }
    $created = ask('/accounts/' . rawurlencode($name) . '/sessions', body: json_encode(visit()));
    setcookie('shop', $created['token'], COOKIE);
    header('Location: /', true, 303);
} elseif (!$session = current_session()) {
    echo '<form method="post" action="/sign-in"><input name="name"><input name="password" type="password">',
        '<button>Sign in</button></form>';
} elseif ($request === 'GET /devices') {
    $account = rawurlencode($session['sub']);
    header('Location: ' . ask("/accounts/$account/sessions/{$session['sid']}/link")['url'], true, 303);
} else {
    echo 'Hello ', htmlspecialchars($session['sub']), '! <a href="/devices">Where you are signed in</a>';
}
