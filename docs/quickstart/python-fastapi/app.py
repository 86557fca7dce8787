"""A service with users of its own, whose sessions Lastseen keeps. Run it: uvicorn app:app"""

import os
from urllib.parse import quote

import httpx
from fastapi import FastAPI, Form, HTTPException, Request, responses

USERS = {"ada": "correct-horse-battery"}  # Yours: a table, with hashes.
COOKIE = {"key": "shop", "httponly": True, "samesite": "lax"}  # And secure=True, behind https.
WELCOME = 'Hello {}! <a href="/devices">Where you are signed in</a>'
FORM = """<form method="post" action="/sign-in"><input name="name"><input name="password"
    type="password"><button>Sign in</button></form>"""

app = FastAPI()
key = {"Authorization": "Bearer " + os.environ["APPLICATION_KEY"]}
url = os.environ.get("SESSIONS", "http://127.0.0.1:8080") + "/api/v1"
lastseen = httpx.AsyncClient(base_url=url, headers=key)


async def ask(path: str, **body):
    try:
        return (await lastseen.post(path, **body)).raise_for_status().json()
    except httpx.HTTPError:  # When in doubt, nobody is signed in.
        raise HTTPException(503, "Try again in a moment.")


def visit(request: Request):  # Behind a proxy: uvicorn --forwarded-allow-ips.
    return {"ip_address": request.client.host, "user_agent": request.headers.get("user-agent", "")}


async def current(request: Request):  # Whose session the cookie is; asking counts as a use of it.
    token = request.cookies.get(COOKIE["key"])
    session = token and await ask("/introspect", data={"token": token, **visit(request)})
    return session if session and session["active"] else None


@app.get("/")
async def page(request: Request):
    session = await current(request)
    return responses.HTMLResponse(WELCOME.format(session["sub"]) if session else FORM)


@app.post("/sign-in")
async def sign_in(request: Request, name: str = Form(), password: str = Form()):
    if USERS.get(name) != password:
        raise HTTPException(401, "That is not right.")
    created = await ask(f"/accounts/{quote(name, '')}/sessions", json=visit(request))
    response = responses.RedirectResponse("/", 303)
    response.set_cookie(value=created["token"], **COOKIE)
    return response


@app.get("/devices")
async def devices(request: Request):
    if not (session := await current(request)):
        return responses.RedirectResponse("/", 303)
    link = await ask(f"/accounts/{quote(session['sub'], '')}/sessions/{session['sid']}/link")
    return responses.RedirectResponse(link["url"], 303)
