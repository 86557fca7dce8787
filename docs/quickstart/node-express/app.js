// A service with users of its own, whose sessions Lastseen keeps. Run it: node app.js
import express from "express";

const USERS = { ada: "correct-horse-battery" }; // Yours: a table, with hashes.
const COOKIE = "shop=";
const SESSIONS = process.env.SESSIONS ?? "http://127.0.0.1:8080";
const JSON_BODY = { "Content-Type": "application/json" };

const app = express(); // Behind a proxy: app.set("trust proxy", …), so that request.ip is the visitor's.
app.use(express.urlencoded());

async function ask(path, body) {
  const form = body instanceof URLSearchParams;
  const answer = await fetch(`${SESSIONS}/api/v1${path}`, {
    method: "POST",
    headers: { Authorization: `Bearer ${process.env.APPLICATION_KEY}`, ...(form ? {} : JSON_BODY) },
    body: form ? body : JSON.stringify(body),
    signal: AbortSignal.timeout(5000),
  });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`); // When in doubt, nobody is signed in.
  return answer.json();
}

const visit = (request) => ({ ip_address: request.ip, user_agent: request.get("user-agent") ?? "" });

// Whose session the cookie is; asking counts as a use of it.
async function current(request) {
  const cookies = (request.get("cookie") ?? "").split("; ");
  const token = cookies.find((cookie) => cookie.startsWith(COOKIE))?.slice(COOKIE.length);
  if (!token) return null;
  const session = await ask("/introspect", new URLSearchParams({ token, ...visit(request) }));
  return session.active ? session : null;
}

app.get("/", async (request, response) => {
  const session = await current(request);
  response.send(session
    ? `Hello ${session.sub}! <a href="/devices">Where you are signed in</a>`
    : `<form method="post" action="/sign-in"><input name="name"><input name="password"
        type="password"><button>Sign in</button></form>`);
});

app.post("/sign-in", async (request, response) => {
  const { name, password } = request.body;
  if (!Object.hasOwn(USERS, name) || USERS[name] !== password) return response.status(401).send("That is not right.");
  const { token } = await ask(`/accounts/${encodeURIComponent(name)}/sessions`, visit(request));
  response.set("Set-Cookie", `${COOKIE}${token}; HttpOnly; SameSite=Lax; Path=/`); // And Secure, behind https.
  response.redirect(303, "/");
});

app.get("/devices", async (request, response) => {
  const session = await current(request);
  if (!session) return response.redirect(303, "/");
  const { url } = await ask(`/accounts/${encodeURIComponent(session.sub)}/sessions/${session.sid}/link`);
  response.redirect(303, url);
});

app.use((error, request, response, next) => response.status(503).send("Try again in a moment."));
const server = app.listen(process.env.PORT ?? 3000, "127.0.0.1", () => console.log(server.address()));
