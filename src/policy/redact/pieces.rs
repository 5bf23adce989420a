//! Cleans pieces of one text, such as the chunks of a stream: a secret that lies over several of them goes too.

use super::{Redactor, Span, UNAVAILABLE, mark, merged};

impl Redactor {
    /// The pieces of one text, cleaned as one: what lies in one piece and what lies over several.
    ///
    /// The mark of a secret that lies over several pieces stands whole in the first of them, and the others lose their
    /// parts of it. There are as many pieces as before.
    ///
    /// ```
    /// let clean = hermes::Redactor::new().redact_pieces(&["PGPASS", "WORD=correct-", "horse psql"]);
    /// assert!(clean[1].starts_with("WORD=[secret:") && clean[2] == " psql");
    /// ```
    #[must_use]
    pub fn redact_pieces(&self, pieces: &[&str]) -> Vec<String> {
        let whole = pieces.concat();
        // Each by itself as well: what stands before a piece may make its first word a part of another.
        let own: Vec<String> = pieces
            .iter()
            .map(|piece| self.redact(piece).into_owned())
            .collect();
        if pieces.len() < 2 {
            return own;
        }
        let Some(spans) = self.search(&whole, self.rules.personal) else {
            return vec![UNAVAILABLE.to_owned(); pieces.len()];
        };
        let bounds = bounds_of(pieces);
        let crosses = |span: &Span<'_>| {
            let mut inner = bounds.iter().skip(1).take(pieces.len() - 1);
            inner.any(|bound| span.start < *bound && *bound < span.end)
        };
        let crossing: Vec<Span<'_>> = merged(spans)
            .filter(|span| crosses(span) && !mark::is_whole(&whole[span.start..span.end]))
            .collect();
        if crossing.is_empty() {
            return own;
        }
        let mut clean = Vec::with_capacity(pieces.len());
        for (place, piece) in pieces.iter().enumerate() {
            let (from, to) = (bounds[place], bounds[place + 1]);
            let touching: Vec<_> = crossing
                .iter()
                .filter(|span| span.start < to && from < span.end)
                .collect();
            let mut text = String::with_capacity(piece.len());
            let mut done = from;
            for span in touching {
                let start = span.start.max(from);
                text.push_str(&self.redact(whole.get(done..start).unwrap_or_default()));
                if span.start >= from {
                    let secret = whole.get(span.start..span.end).unwrap_or_default();
                    text.push_str(&mark::of(&self.key, span.kind, secret));
                }
                done = span.end.min(to);
            }
            text.push_str(&self.redact(whole.get(done..to).unwrap_or_default()));
            clean.push(text);
        }
        clean
    }
}

/// Where each piece begins in the whole, and where the last one ends.
fn bounds_of(pieces: &[&str]) -> Vec<usize> {
    let mut bounds = vec![0];
    let mut end = 0;
    for piece in pieces {
        end += piece.len();
        bounds.push(end);
    }
    bounds
}
