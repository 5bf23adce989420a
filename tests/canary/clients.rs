//! What goes over the wire to a model: addresses, headers, bodies, answers, and failures that quote them.

use bytes::Bytes;
use hermes::client::{RequestBody, TracedLayer};
use http_body_util::{BodyExt, Full};
use serde_json::json;
use tower::{ServiceBuilder, ServiceExt, service_fn};

use crate::search::percent_encoded;
use crate::secret::Secret;

pub(crate) async fn run(secret: &Secret) {
    let answer = json!({"id": secret.say("wire_id"), "model": secret.say("wire_model"),
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": secret.say("wire_answer")}}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1}});
    ask(secret, "wire", Ok((200, answer.to_string()))).await;
    let refusal =
        json!({"error": {"message": secret.say("wire_refusal"), "type": "invalid_request_error"}});
    ask(secret, "refused", Ok((401, refusal.to_string()))).await;
    ask(secret, "broken", Err(secret.say("wire_failure"))).await;
}

async fn ask(secret: &Secret, input: &str, answer: Result<(u16, String), String>) {
    let server = service_fn(move |request: http::Request<RequestBody<Full<Bytes>>>| {
        let answer = answer.clone();
        async move {
            let _ = request.into_body().collect().await;
            let (status, body) = answer.map_err(std::io::Error::other)?;
            let answer = http::Response::builder()
                .status(status)
                .header("content-type", "application/json");
            Ok::<_, std::io::Error>(answer.body(Full::new(Bytes::from(body))).unwrap())
        }
    });
    let client = ServiceBuilder::new()
        .layer(TracedLayer::new())
        .service(server);
    let core = percent_encoded(&secret.core);
    let host = secret.marker(&format!("{input}host"));
    let question = json!({"model": "m", "messages": [
        {"role": "system", "content": secret.say(&format!("{input}_system"))},
        {"role": "user", "content": secret.say(&format!("{input}_question"))}]});
    let request = http::Request::post(format!(
        "https://bob:{core}@{host}.example.com/v1/chat/completions?api_key={core}&password={core}"
    ))
    .header("content-type", "application/json")
    .header("authorization", format!("Bearer {core}"))
    .header("x-api-key", &core)
    .header("cookie", format!("sid={core}"))
    .body(Full::new(Bytes::from(question.to_string())))
    .unwrap();
    if let Ok(answer) = client.oneshot(request).await {
        let _ = answer.into_body().collect().await;
    }
}
