//! A service without axum's router: the layer stands around any tower service whose body can be made of bytes.
//!
//! `cargo run -p lastseen-axum --example tower-only` answers on the address that it prints.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts as _;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use lastseen::store::memory::MemoryStore;
use lastseen::{Clock as _, Sessions, Settings};
use lastseen_axum::{CurrentSession, PublicUrl, SessionsContext, SessionsLayer, SystemClock};
use tower::{ServiceBuilder, service_fn};

/// Who is asking? The body is left alone, whatever its type.
async fn answer<Body>(request: Request<Body>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (mut parts, _body) = request.into_parts();
    Ok(
        match CurrentSession::from_request_parts(&mut parts, &()).await {
            Ok(current) => {
                let name = current.session.account.name.to_string();
                Response::new(Full::from(format!("hello {name}")))
            }
            Err(problem) => problem.into_http(),
        },
    )
}

async fn context(url: &str) -> Result<SessionsContext, Box<dyn std::error::Error>> {
    let store = Arc::new(MemoryStore::new());
    let sessions = Sessions::open(store, Settings::default(), SystemClock::new().now()).await?;
    Ok(SessionsContext::new(sessions, PublicUrl::parse(url)?))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    let url = format!("http://{}", listener.local_addr()?);
    println!("{url}");
    let layer = SessionsLayer::new(context(&url).await?);
    loop {
        let (stream, _peer) = listener.accept().await?;
        let service = ServiceBuilder::new()
            .layer(layer.clone())
            .service(service_fn(answer));
        tokio::spawn(async move {
            let builder = Builder::new(TokioExecutor::new());
            let served = builder
                .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
                .await;
            if let Err(error) = served {
                eprintln!("a connection broke off: {error}");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use http::header;
    use lastseen::{Account, AccountId, AccountSource, NewSession, Visit};
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn a_plain_tower_service_knows_who_is_asking() {
        let context = context("http://127.0.0.1:3000").await.unwrap();
        let account = Arc::new(Account::new(
            AccountSource::BuiltIn,
            AccountId::new("ada").unwrap(),
            "ada",
        ));
        let new = NewSession {
            account: &account,
            remembered: false,
            visit: Visit::default(),
            replaces: None,
        };
        let created = context
            .sessions()
            .create(new, context.now(), context.entropy())
            .await
            .unwrap();
        let service = ServiceBuilder::new()
            .layer(SessionsLayer::new(context))
            .service(service_fn(answer::<()>));
        let signed_in = Request::get("/")
            .header(
                header::AUTHORIZATION,
                format!("Bearer {}", created.token.reveal()),
            )
            .body(())
            .unwrap();
        assert_eq!(
            service.clone().oneshot(signed_in).await.unwrap().status(),
            200
        );
        let stranger = Request::get("/").body(()).unwrap();
        assert_eq!(service.oneshot(stranger).await.unwrap().status(), 401);
    }
}
