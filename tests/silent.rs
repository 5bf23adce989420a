//! Where nobody listens, held spans and streams cost no memory and record nothing.
//!
//! Alone in its binary: any subscriber of another test would listen.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use futures_util::Stream;
use hermes::{TraceStreamExt, Usage};

#[test]
fn nothing_is_allocated_where_nobody_listens() {
    let held = allocation_counter::measure(|| {
        let session = hermes::session("s").model("m").platform("cli").start();
        assert!(session.span().is_disabled());
        let turn = session.turn().user_message("hello").start();
        let tool = turn.tool("t").call_id("c").args(["a", "b"]).start();
        tool.output("done").end();
        let chat = turn
            .chat("m")
            .base_url("http://127.0.0.1")
            .request([1])
            .start();
        chat.usage(Usage::default()).first_chunk().fail("why");
        assert_eq!((chat.trace_id(), chat.kind()), (None, None));
    });
    assert_eq!(held.count_total, 0, "{held:?}");
    // The span of a stream is shared, and that is all.
    let streamed = allocation_counter::measure(|| {
        let items = futures_util::stream::iter(["a", "b", "c"]);
        let mut traced = pin!(items.traced(hermes::chat("m")));
        let mut context = Context::from_waker(Waker::noop());
        while let Poll::Ready(Some(_)) = traced.as_mut().poll_next(&mut context) {}
    });
    assert!(streamed.count_total <= 1, "{streamed:?}");
}
