//! Finds what was said: a search by words in the content that a store keeps, each text found once.

use rusqlite::{Connection, OptionalExtension, named_params};

use super::column::next;
use super::connect::failure;
use super::read::Store;
use super::split::Said;
use crate::error::Error;
use crate::record::{RunId, SpanId, TraceId};

const MATCHING: &str = "
    SELECT tel_search.rowid, tel_search.rank FROM tel_search
    WHERE tel_search MATCH ?1 ORDER BY tel_search.rank, tel_search.rowid";

const TEXT: &str = "SELECT text FROM tel_texts WHERE id = ?1";

/// The first span that says a text, among those that are wanted: every list that goes on behind it says
/// it too.
const SAID: &str = "
SELECT span_id, trace_id, run_id, name, kind, start_ns FROM (
    WITH RECURSIVE on_from (link) AS (
        SELECT id FROM tel_links WHERE text = :text
        UNION
        SELECT next.id FROM on_from JOIN tel_links AS next ON next.before = on_from.link
    )
    SELECT span.id AS row, content.place AS place FROM on_from
    JOIN tel_contents AS content ON content.link = on_from.link
    JOIN tel_span_rows AS span ON span.id = content.span
    JOIN tel_shapes AS shape ON shape.id = span.shape
    JOIN tel_scopes AS scope ON scope.id = span.scope
    WHERE (:session IS NULL OR coalesce(span.session_id, scope.session_id) = :session)
        AND (:since_ns IS NULL OR span.start_ns >= :since_ns)
        AND (:until_ns IS NULL OR span.start_ns < :until_ns)
        AND (:kind IS NULL OR shape.kind = :kind COLLATE NOCASE)
    ORDER BY span.start_ns, span.id LIMIT 1
) AS said JOIN tel_spans AS span ON span.id = said.row";

/// How much stands around what was found, in characters.
const AROUND: usize = 60;

/// The most that is read of one text's words for its snippet.
const SNIPPET: usize = 3 * AROUND;

/// Which of the texts found are wanted; what is `None` does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SearchFilter {
    /// Those said in this session.
    pub session_id: Option<String>,
    /// Those said by spans of this `hermes.span.kind`: `LLM` or `TOOL`, for instance.
    pub kind: Option<String>,
    /// Those of messages that have this role: `user` or `assistant`, for instance.
    pub role: Option<String>,
    /// Those said by spans that started at this time or later, in nanoseconds since the Unix epoch.
    pub since_ns: Option<i64>,
    /// Those said by spans that started before this time.
    pub until_ns: Option<i64>,
    /// At most so many.
    pub limit: Option<usize>,
}

impl SearchFilter {
    /// The best so many.
    #[must_use]
    pub fn best(limit: usize) -> Self {
        SearchFilter {
            limit: Some(limit),
            ..SearchFilter::default()
        }
    }

    /// What was said in a session.
    #[must_use]
    pub fn session(mut self, session_id: impl Into<String>) -> Self {
        self.session_id = Some(session_id.into());
        self
    }

    /// What spans of this `hermes.span.kind` said.
    #[must_use]
    pub fn kind(mut self, kind: impl Into<String>) -> Self {
        self.kind = Some(kind.into());
        self
    }

    /// What was said in messages of this role.
    #[must_use]
    pub fn role(mut self, role: impl Into<String>) -> Self {
        self.role = Some(role.into());
        self
    }

    /// What was said at this time or later, in nanoseconds since the Unix epoch.
    #[must_use]
    pub fn since(mut self, since_ns: i64) -> Self {
        self.since_ns = Some(since_ns);
        self
    }

    /// What was said before this time.
    #[must_use]
    pub fn until(mut self, until_ns: i64) -> Self {
        self.until_ns = Some(until_ns);
        self
    }
}

/// A text that was found, with the first span that said it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SearchHit {
    /// The first span that said it, among those that were wanted.
    pub span_id: SpanId,
    /// The trace of the span.
    pub trace_id: TraceId,
    /// The run that the span belongs to.
    pub run_id: RunId,
    /// The name of the span: `chat gpt-4o`, for instance.
    pub name: String,
    /// `hermes.span.kind` of the span.
    pub kind: String,
    /// When the span started, in nanoseconds since the Unix epoch.
    pub start_ns: i64,
    /// The words around what was found, of one line.
    pub snippet: String,
    /// How well it fits: the lower the better
    /// ([bm25](https://www.sqlite.org/fts5.html#the_bm25_function)).
    pub rank: f64,
}

impl Store {
    /// Finds what was said, in the content that the store keeps: prompts, answers, arguments, results,
    /// and values that no table knows. A text that many calls repeat is found once, in the first of them.
    ///
    /// All words of `words` have to be in one text, in any order and in upper or lower case. Words
    /// between double quotes stand side by side, and `*` behind a word is for any ending. Nothing else
    /// in it means anything, and where it has no word, nothing is found. What was stored by versions
    /// that had no such index is not found.
    ///
    /// ```no_run
    /// use hermes::{SearchFilter, Store};
    ///
    /// let store = Store::open("telemetry.db")?;
    /// for hit in store.search("\"connection refused\" postgres*", &SearchFilter::best(10))? {
    ///     println!("{} {}: {}", hit.trace_id, hit.name, hit.snippet);
    /// }
    /// # Ok::<(), hermes::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Where the store cannot be read.
    pub fn search(&self, words: &str, filter: &SearchFilter) -> Result<Vec<SearchHit>, Error> {
        let wanted = Wanted::read(words);
        if wanted.0.is_empty() {
            return Ok(Vec::new());
        }
        search(self.connection(), &wanted, filter)
            .map_err(|source| failure("cannot search the store", self.path(), source))
    }
}

fn search(
    connection: &Connection,
    wanted: &Wanted,
    filter: &SearchFilter,
) -> rusqlite::Result<Vec<SearchHit>> {
    let limit = filter.limit.unwrap_or(usize::MAX);
    let mut hits = Vec::new();
    let mut matching = connection.prepare_cached(MATCHING)?;
    let mut said = connection.prepare_cached(SAID)?;
    let mut rows = matching.query([wanted.expression(filter.role.as_deref())])?;
    while hits.len() < limit
        && let Some(row) = rows.next()?
    {
        let (id, rank): (i64, f64) = (row.get(0)?, row.get(1)?);
        let values = named_params! {
            ":text": id,
            ":session": filter.session_id,
            ":since_ns": filter.since_ns,
            ":until_ns": filter.until_ns,
            ":kind": filter.kind,
        };
        let place = |row: &rusqlite::Row<'_>| {
            let mut indices = 0..;
            Ok(SearchHit {
                span_id: next(row, &mut indices)?,
                trace_id: next(row, &mut indices)?,
                run_id: next(row, &mut indices)?,
                name: next(row, &mut indices)?,
                kind: next(row, &mut indices)?,
                start_ns: next(row, &mut indices)?,
                snippet: String::new(),
                rank,
            })
        };
        if let Some(mut hit) = said.query_row(values, place).optional()? {
            let text: String = connection
                .prepare_cached(TEXT)?
                .query_row([id], |row| row.get(0))?;
            hit.snippet = wanted.snippet(&Said::read(&text).words);
            hits.push(hit);
        }
    }
    Ok(hits)
}

/// What is looked for: words, and words that stand side by side, each with whether any ending will do.
#[derive(Debug)]
struct Wanted(Vec<(String, bool)>);

impl Wanted {
    fn read(words: &str) -> Wanted {
        let mut wanted = Vec::new();
        // Every second piece stands between quotes; a quote that is not closed goes to the end.
        for (at, piece) in words.split('"').enumerate() {
            if at % 2 == 1 {
                wanted.push((piece.to_owned(), false));
            } else {
                wanted.extend(piece.split_whitespace().map(|word| {
                    let bare = word.trim_end_matches('*');
                    (bare.to_owned(), bare.len() < word.len())
                }));
            }
        }
        // The index knows letters and digits; what has none of them is in every text and in no one.
        wanted.retain(|(words, _)| words.contains(char::is_alphanumeric));
        Wanted(wanted)
    }

    /// The same in the words of the index. Between quotes, nothing means anything there.
    fn expression(&self, role: Option<&str>) -> String {
        let phrases = self.0.iter().map(|(words, is_beginning)| {
            let ending = if *is_beginning { "*" } else { "" };
            format!("{}{ending}", quoted(words))
        });
        let words = phrases.collect::<Vec<_>>().join(" ");
        match role {
            Some(role) => format!("words : ({words}) AND role : {}", quoted(role)),
            None => format!("words : ({words})"),
        }
    }

    /// The words around the first of those that were looked for, in one line.
    fn snippet(&self, words: &str) -> String {
        let at = self
            .0
            .iter()
            .flat_map(|(words, _)| words.split(|sign: char| !sign.is_alphanumeric()))
            .find(|word| !word.is_empty())
            .and_then(|word| find(words, word))
            .unwrap_or_default();
        let before = words[..at].char_indices().rev().take(AROUND);
        let start = before.last().map_or(at, |(start, _)| start);
        let mut snippet = String::new();
        if start > 0 {
            snippet.push('…');
        }
        let around: String = words[start..].chars().take(SNIPPET).collect();
        snippet.push_str(&around.split_whitespace().collect::<Vec<_>>().join(" "));
        if start + around.len() < words.len() {
            snippet.push('…');
        }
        snippet
    }
}

fn quoted(words: &str) -> String {
    let words: String = words
        .chars()
        .filter(|sign| !matches!(sign, '\0' | '"'))
        .collect();
    format!("\"{words}\"")
}

/// Where a word begins in a text, in upper or lower case.
fn find(text: &str, word: &str) -> Option<usize> {
    let wanted: Vec<char> = word.chars().flat_map(char::to_lowercase).collect();
    text.char_indices().map(|(at, _)| at).find(|at| {
        let mut rest = text[*at..].chars().flat_map(char::to_lowercase);
        wanted.iter().all(|sign| rest.next() == Some(*sign))
    })
}
