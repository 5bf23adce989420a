//! Every way to hand out a stream.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;

use futures_util::stream::{self, BoxStream, LocalBoxStream, Stream, StreamExt};

type ChatStream = Pin<Box<dyn Stream<Item = Result<String, Failure>> + Send>>;

#[derive(Debug)]
struct Failure;

#[hermes::chat(model = "m", stream)]
fn bare(texts: Vec<String>) -> impl Stream<Item = String> {
    stream::iter(texts)
}

#[hermes::chat(stream)]
fn fallible(is_ok: bool) -> Result<impl Stream<Item = &'static str> + Send, Failure> {
    if !is_ok {
        return Err(Failure);
    }
    Ok(stream::iter(["a", "b"]))
}

#[hermes::chat(stream)]
async fn later() -> impl Stream<Item = Opaque> {
    stream::iter([Opaque])
}

#[hermes::chat(stream)]
async fn later_fallible(number: Result<u8, Failure>) -> Result<impl Stream<Item = u8>, Failure> {
    let number = number?;
    Ok(stream::iter([number]))
}

#[hermes::turn(user_message = text, stream)]
fn boxed(text: &str) -> Pin<Box<dyn Stream<Item = String> + Send + '_>> {
    Box::pin(stream::iter(text.split(' ').map(str::to_owned)))
}

#[hermes::tool(stream)]
fn by_alias<'a>(items: &'a [u8]) -> BoxStream<'a, u8> {
    stream::iter(items.iter().copied()).boxed()
}

#[hermes::agent(stream)]
fn local<'a>() -> LocalBoxStream<'a, std::rc::Rc<u8>> {
    stream::iter([std::rc::Rc::new(1)]).boxed_local()
}

#[hermes::instrument(step, stream)]
async fn by_own_alias() -> Result<ChatStream, Failure> {
    Ok(Box::pin(stream::iter([Ok("a".to_owned()), Err(Failure)])))
}

#[hermes::retriever(stream)]
fn unpinned() -> Box<dyn Stream<Item = u8> + Unpin> {
    Box::new(stream::iter([1]))
}

#[hermes::instrument(chat, stream)]
fn future() -> impl Future<Output = Result<impl Stream<Item = u8>, Failure>> + Send {
    async { Ok(stream::iter([1])) }
}

#[hermes::session(id = "s", stream)]
fn generic<T: Send + 'static, F>(make: F) -> impl Stream<Item = Result<T, Infallible>>
where
    F: Fn() -> T,
{
    stream::iter([Ok(make())])
}

struct Opaque;

trait Model {
    fn complete<'a>(&'a self) -> Pin<Box<dyn Future<Output = Result<ChatStream, Failure>> + Send + 'a>>;
}

struct Client(String);

impl Model for Client {
    #[hermes::chat(model = self.0, stream)]
    fn complete<'a>(&'a self) -> Pin<Box<dyn Future<Output = Result<ChatStream, Failure>> + Send + 'a>> {
        Box::pin(async move {
            let text = self.0.clone();
            Ok(Box::pin(stream::iter([Ok(text)])) as ChatStream)
        })
    }
}

#[async_trait::async_trait]
trait Provider {
    async fn stream(&mut self, prompt: &str) -> Result<ChatStream, Failure>;
}

#[async_trait::async_trait]
impl Provider for Client {
    #[hermes::chat(model = self.0, stream)]
    async fn stream(&mut self, prompt: &str) -> Result<ChatStream, Failure> {
        self.0.push_str(prompt);
        let text = self.0.clone();
        Ok(Box::pin(stream::iter([Ok(text)])))
    }
}

fn is_send<T: Send>(value: T) -> T {
    value
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        assert_eq!(bare(vec!["a".into()]).count().await, 1);
        assert_eq!(is_send(fallible(true).unwrap()).count().await, 2);
        assert!(fallible(false).is_err());
        assert_eq!(is_send(later()).await.count().await, 1);
        assert_eq!(is_send(later_fallible(Ok(1))).await.unwrap().count().await, 1);
        assert!(later_fallible(Err(Failure)).await.is_err());
        assert_eq!(is_send(boxed("a b c")).count().await, 3);
        assert_eq!(is_send(by_alias(&[1, 2])).count().await, 2);
        assert_eq!(local().count().await, 1);
        assert_eq!(is_send(by_own_alias()).await.unwrap().count().await, 2);
        assert_eq!(unpinned().count().await, 1);
        assert_eq!(is_send(future()).await.unwrap().count().await, 1);
        assert_eq!(generic(|| 1).count().await, 1);
        let mut client = Client("m".into());
        assert_eq!(is_send(client.complete()).await.unwrap().count().await, 1);
        assert_eq!(is_send(client.stream("!")).await.unwrap().count().await, 1);
    });
}
