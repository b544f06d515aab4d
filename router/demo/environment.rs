//! One of the two built-in environments: an HTTP server that says who it is and what reached it.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

use super::Side;

/// The header that names the environment of an answer.
pub(super) const ENVIRONMENT: &str = "x-environment";

/// An environment; while `broken` it answers 500.
#[derive(Clone)]
pub(super) struct Environment {
    side: Side,
    broken: Arc<AtomicBool>,
}

impl Environment {
    pub(super) fn new(side: Side, broken: Arc<AtomicBool>) -> Self {
        Self { side, broken }
    }

    /// Answers on `listener`, forever.
    pub(super) fn serve(
        self,
        listener: TcpListener,
    ) -> io::Result<impl Future<Output = ()> + Send + 'static> {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        Ok(async move {
            loop {
                // Running out of descriptors passes; the listener stays.
                let Ok((stream, _)) = listener.accept().await else {
                    tokio::task::yield_now().await;
                    continue;
                };
                let environment = self.clone();
                let service = service_fn(move |request| {
                    let environment = environment.clone();
                    async move { environment.answer(request).await }
                });
                let connection =
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                tokio::spawn(connection);
            }
        })
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let (head, body) = request.into_parts();
        let length = body.collect().await.map_or(0, |body| body.to_bytes().len());
        let broken = self.broken.load(Ordering::Relaxed);
        let text = if broken {
            format!("{} is broken\n", self.side.name())
        } else {
            self.tell(&head, length)
        };
        let mut response = Response::new(Full::from(text));
        if broken {
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        }
        let headers = response.headers_mut();
        let plain = http::HeaderValue::from_static("text/plain; charset=utf-8");
        headers.insert(http::header::CONTENT_TYPE, plain);
        headers.insert(
            ENVIRONMENT,
            http::HeaderValue::from_static(self.side.name()),
        );
        Ok(response)
    }

    fn tell(&self, head: &http::request::Parts, length: usize) -> String {
        let (greeting, hostname) = match self.side {
            Side::Ec2 => ("ec2: the old environment", "ip-10-0-1-15"),
            Side::Ecs => ("ecs: the new environment", "web-7d9f5c-container-1"),
        };
        let mut text = format!(
            "{greeting}\nhostname: {hostname}\n\n{} {}\n",
            head.method, head.uri
        );
        for (name, value) in &head.headers {
            let value = String::from_utf8_lossy(value.as_bytes());
            let _ = writeln!(text, "{name}: {value}");
        }
        if length > 0 {
            let _ = writeln!(text, "\n{length} bytes of body");
        }
        text
    }
}
