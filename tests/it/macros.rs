//! The attributes on every kind of function, and what the values of arguments may be.

use std::future::Future;
use std::pin::Pin;

use hermes::Value;

use crate::support::Bench;

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

#[derive(Clone, Copy)]
enum Place {
    Paris,
}

impl From<Place> for Value {
    fn from(Place::Paris: Place) -> Value {
        Value::from("paris")
    }
}

#[async_trait::async_trait]
trait Speak {
    async fn speak(&self, model: &str) -> Result<usize, String>;
}

struct Parrot {
    model: Option<String>,
}

#[async_trait::async_trait]
impl Speak for Parrot {
    #[hermes::chat(model = model, provider = "parrot")]
    async fn speak(&self, model: &str) -> Result<usize, String> {
        tokio::task::yield_now().await;
        self.model
            .as_ref()
            .map(String::len)
            .ok_or_else(|| "mute".to_owned())
    }
}

impl Parrot {
    #[hermes::embedding(model = self.model, dimensions = 3_u16)]
    fn embed(&mut self) -> &mut Option<String> {
        &mut self.model
    }

    #[hermes::retriever(source = Place::Paris, top_k = 5_usize, query = "where")]
    fn look_up(&self) -> impl Iterator<Item = u8> + use<> {
        [1, 2].into_iter()
    }

    #[hermes::reranker(model = %"r-1", provider = ?"p")]
    fn rank<T: Clone>(&self, items: &[T]) -> Vec<T> {
        items.to_vec()
    }
}

#[hermes::agent]
fn scout() -> impl Future<Output = u8> {
    async { step_inside(&3).await }
}

#[hermes::instrument(fields(attempt = 1, named = %"x"))]
fn step_inside<'a>(number: &'a u8) -> Pin<Box<dyn Future<Output = u8> + Send + 'a>> {
    Box::pin(async move { *number })
}

#[hermes::instrument(tool, name = "general", span_name = "my.tool", level = "debug")]
fn general() {}

#[hermes::instrument]
fn my_step() {
    let _ = scout;
}

#[test]
fn every_kind_of_function_makes_its_span() {
    let bench = Bench::new();
    bench.run(|| {
        let mut parrot = Parrot {
            model: Some("p-1".to_owned()),
        };
        assert_eq!(block_on(parrot.speak("m-1")), Ok(3));
        parrot.embed().take();
        assert_eq!(parrot.look_up().count(), 2);
        assert_eq!(parrot.rank(&["a"]), ["a"]);
        assert_eq!(block_on(scout()), 3);
        general();
        my_step();
        block_on(Parrot { model: None }.speak("m-2")).unwrap_err();
    });
    assert_eq!(
        bench.picture(),
        "chat m-1\nembeddings p-1\nretrieval paris\nrerank r-1\ninvoke_agent scout\n  step_inside\n\
         my.tool\nmy_step\nchat m-2 [error] ✗ alloc::string::String\n"
    );
    let embedding = bench.span("embeddings p-1");
    assert_eq!(embedding.attributes["gen_ai.embeddings.dimension.count"], 3);
    assert_eq!(embedding.kind, "EMBEDDING");
    assert_eq!(
        bench.span("retrieval paris").attributes["gen_ai.retrieval.top_k"],
        5
    );
    assert_eq!(bench.span("rerank r-1").attributes["hermes.provider"], "p");
    assert_eq!(
        bench.span("my.tool").attributes["hermes.tool.name"],
        "general"
    );
}

#[test]
fn a_closed_span_can_be_followed_and_a_parent_named() {
    let bench = Bench::new();
    bench.run(|| {
        let root = tracing::info_span!("hermes.session", hermes.session.id = "s");
        let cause = tracing::info_span!(parent: &root, "hermes.tool", gen_ai.tool.name = "cause");
        #[hermes::tool(parent = root, follows_from = [cause])]
        fn effect(root: &tracing::Span, cause: &tracing::Span) {}
        effect(&root, &cause);
    });
    assert_eq!(
        bench.picture(),
        "hermes.session\n  hermes.tool.cause\n  hermes.tool.effect\n"
    );
    let cause = bench.span("hermes.tool.cause");
    assert_eq!(
        bench.span("hermes.tool.effect").links,
        [(cause.trace_id, cause.span_id)]
    );
}
