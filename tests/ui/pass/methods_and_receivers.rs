//! Every kind of `self`, methods of traits, and references returned from `self`.
#![deny(warnings)]

use std::pin::Pin;

#[derive(Default)]
struct Agent {
    model: String,
    turns: Vec<String>,
}

impl Agent {
    #[hermes::turn(model = self.model, index = self.turns.len(), user_message = text)]
    fn answer(&mut self, text: &str) -> &mut String {
        self.turns.push(text.to_owned());
        let last = self.turns.len() - 1;
        &mut self.turns[last]
    }

    #[hermes::instrument]
    fn model(&self) -> &str {
        &self.model
    }

    #[hermes::instrument]
    fn longest<'a>(&'a self, other: &'a str) -> &'a str {
        if self.model.len() > other.len() {
            &self.model
        } else {
            other
        }
    }

    #[hermes::instrument]
    fn into_turns(self) -> Vec<String> {
        self.turns
    }

    #[hermes::instrument]
    fn unboxed(self: Box<Self>) -> Self {
        *self
    }

    #[hermes::instrument]
    fn pinned(self: Pin<&mut Self>) -> usize {
        self.turns.len()
    }

    #[hermes::instrument]
    async fn first(&mut self) -> Option<&mut String> {
        self.turns.first_mut()
    }
}

trait Tool {
    const NAME: &'static str;

    #[hermes::tool(name = Self::NAME, args = input)]
    fn call(&self, input: &str) -> String {
        self.finish(input)
    }

    fn finish(&self, input: &str) -> String;
}

impl Tool for Agent {
    const NAME: &'static str = "echo";

    #[hermes::instrument]
    fn finish(&self, input: &str) -> String {
        input.to_owned()
    }
}

fn main() {
    let mut agent = Agent {
        model: "gpt".to_owned(),
        turns: Vec::new(),
    };
    agent.answer("hi").push('!');
    assert_eq!(agent.turns, ["hi!"]);
    assert_eq!(agent.model(), "gpt");
    assert_eq!(agent.longest("long"), "long");
    assert_eq!(agent.call("x"), "x");
    assert_eq!(Pin::new(&mut agent).pinned(), 1);
    drop(agent.first());
    assert_eq!(Box::new(agent).unboxed().into_turns(), ["hi!"]);
}
