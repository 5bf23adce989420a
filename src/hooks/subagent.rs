//! Sub-agents: under the turn that asked for them, with all that their own sessions tell of inside.

use std::sync::Arc;
use std::time::SystemTime;

use super::book::{Place, Whose};
use super::held::{Ending, Held, How, carry_out};
use super::{Do, Hooks, MILLISECOND, SubagentStart, SubagentStop, as_text, duration, spoken};
use crate::semconv::Fact;
use crate::span;

/// The session that stands for a sub-agent: its own, else one that nobody else names.
fn session_of(session: &Option<String>, agent: &Option<String>) -> Option<String> {
    let own = spoken(session).map(str::to_owned);
    own.or_else(|| spoken(agent).map(|agent| format!("sub-agent {agent}")))
}

fn agent_name(agent: &str) -> String {
    format!("agent {agent}")
}

impl Do<SubagentStart> for Hooks {
    fn do_call(&self, told: SubagentStart) {
        let begun = self.book(|book| {
            let mut id = session_of(&told.child_session_id, &told.child_subagent_id)?;
            match book.sessions.get(&id) {
                Some(known) if known.is_agent => return None,
                // The child spoke first, and has a session of its own; what is told now is what its parent
                // knows of it.
                Some(_) => id = format!("sub-agent {id}"),
                None => {}
            }
            if book.sessions.contains_key(&id) {
                return None;
            }
            let place = book.asked_by(
                &told.parent_subagent_id,
                &told.parent_session_id,
                &told.parent_turn_id,
                told.started_at,
            );
            let names: Vec<_> = spoken(&told.child_subagent_id)
                .map(agent_name)
                .into_iter()
                .collect();
            let held = start(told, &place);
            book.begin_agent(id, held.clone(), place.session, &names);
            Some(held)
        });
        if let Some(held) = begun {
            held.span();
        }
    }
}

impl super::Book {
    /// Where a sub-agent belongs: to the sub-agent that asked for it, if one did, else to a session's turn.
    fn asked_by(
        &mut self,
        agent: &Option<String>,
        session: &Option<String>,
        turn: &Option<String>,
        began: Option<SystemTime>,
    ) -> Place {
        let known = spoken(agent).and_then(|agent| self.session_named(&agent_name(agent)).cloned());
        let is_agents_own = known.is_some();
        let session = known.or_else(|| spoken(session).map(str::to_owned));
        let whose = Whose {
            session: session.as_deref(),
            // The id may be one of the turn around the sub-agent.
            turn: spoken(turn).filter(|_| !is_agents_own),
            ..Whose::default()
        };
        self.place(&whose, super::call::birth(began))
    }
}

fn start(told: SubagentStart, place: &Place) -> Arc<Held> {
    let (began, now) = (told.started_at, SystemTime::now());
    Held::new(place.parent.clone(), began, move |parent| {
        let role = told.child_role.unwrap_or_else(|| "subagent".to_owned());
        let mut agent = match parent {
            Some(parent) => parent.agent(role.clone()),
            None => span::agent(role.clone()),
        };
        agent = agent.role(role);
        agent = agent.start_at(began.unwrap_or(now));
        if let Some(model) = told.model {
            agent = agent.model(model);
        }
        if let Some(id) = told.child_subagent_id {
            agent = agent.id(id);
        }
        if let Some(goal) = told.child_goal {
            agent = agent.goal(goal);
        }
        if let Some(session) = told.child_session_id {
            agent = agent.record(Fact::SessionId.name(), session);
        }
        agent.start()
    })
}

impl Do<SubagentStop> for Hooks {
    fn do_call(&self, told: SubagentStop) {
        let took = duration(told.duration_ms, MILLISECOND);
        let how = how_it_went(&told);
        let endings = self.book(|book| {
            let id = session_of(&told.child_session_id, &told.child_subagent_id)?;
            let is_agent = |id: &String| book.sessions.get(id).is_some_and(|one| one.is_agent);
            let ids = [id.clone(), format!("sub-agent {id}")];
            if let Some(id) = ids.into_iter().find(is_agent) {
                let turns = match how {
                    How::Done => How::Done,
                    _ => How::Interrupted,
                };
                let ends = book.end_session(&id, &turns, |session| {
                    let at = session.held.end(None, told.ended_at, took);
                    (how.clone(), at)
                });
                return Some(ends);
            }
            if book.is_past(&id) {
                return None;
            }
            let now = told.ended_at.unwrap_or_else(SystemTime::now);
            let began = took.and_then(|took| now.checked_sub(took)).unwrap_or(now);
            let place = book.asked_by(
                &told.parent_subagent_id,
                &told.parent_session_id,
                &told.parent_turn_id,
                Some(began),
            );
            let alone = SubagentStart {
                child_session_id: told.child_session_id.clone(),
                child_subagent_id: told.child_subagent_id.clone(),
                child_role: told.child_role.clone(),
                started_at: Some(began),
                ..SubagentStart::default()
            };
            let held = start(alone, &place);
            let at = held.end(None, told.ended_at, took);
            Some(vec![Ending {
                held,
                how: how.clone(),
                at,
            }])
        });
        let Some(endings) = endings else { return };
        if let Some(agent) = endings.last() {
            let span = agent.held.span();
            if let Some(summary) = &told.child_summary {
                span.output(as_text(summary));
            }
            agent
                .held
                .tell_end(agent.at.unwrap_or_else(SystemTime::now));
        }
        carry_out(endings);
    }
}

fn how_it_went(told: &SubagentStop) -> How {
    let status = spoken(&told.child_status)
        .unwrap_or_default()
        .to_ascii_lowercase();
    let message = spoken(&told.error_message).unwrap_or_default().to_owned();
    match status.as_str() {
        "interrupted" | "cancelled" | "canceled" | "aborted" => How::GivenUp,
        "failed" | "failure" | "error" | "timeout" | "timed_out" | "max_iterations" => {
            How::Failed {
                type_name: match status.as_str() {
                    "failed" | "failure" | "error" => String::new(),
                    word => word.to_owned(),
                },
                message,
            }
        }
        _ if message.is_empty() => How::Done,
        _ => How::Failed {
            type_name: String::new(),
            message,
        },
    }
}
