//! What spans say, each text once: written with the span, and taken away when nobody says it any more.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use rusqlite::{Connection, OptionalExtension, params};

use super::row::ContentRow;
use super::split::{self, Said};

const IS_ANY: &str = "SELECT EXISTS (SELECT 1 FROM tel_contents)";

const FIND_TEXT: &str = "SELECT id FROM tel_texts WHERE hash = ?1 AND text = ?2";
const INSERT_TEXT: &str = "INSERT INTO tel_texts (hash, text) VALUES (?1, ?2)";
const INDEX_TEXT: &str = "INSERT INTO tel_search (rowid, words, role) VALUES (?1, ?2, ?3)";

const FIND_LINK: &str = "SELECT id FROM tel_links WHERE before = ?1 AND text = ?2";
const INSERT_LINK: &str = "INSERT INTO tel_links (before, text) VALUES (?1, ?2)";

const INSERT: &str =
    "INSERT OR REPLACE INTO tel_contents (span, place, is_list, link) VALUES (?1, ?2, ?3, ?4)";

const LOOSEN: &str =
    "INSERT OR IGNORE INTO tel_loose_links SELECT link, span FROM tel_contents WHERE span = ?1";
const CLEAR: &str = "DELETE FROM tel_contents WHERE span = ?1";

const NEXT_LOOSE: &str = "SELECT link FROM tel_loose_links LIMIT 1";
const SETTLE: &str = "DELETE FROM tel_loose_links WHERE link = ?1";
const DROP_LINK: &str = "
    DELETE FROM tel_links WHERE id = ?1
        AND NOT EXISTS (SELECT 1 FROM tel_contents WHERE link = ?1)
        AND NOT EXISTS (SELECT 1 FROM tel_links AS next WHERE next.before = ?1)
    RETURNING before, text";
const DROP_TEXT: &str = "
    DELETE FROM tel_texts WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM tel_links WHERE text = ?1)";
const DROP_WORDS: &str = "DELETE FROM tel_search WHERE rowid = ?1";
const LOOSE: &str = "INSERT OR IGNORE INTO tel_loose_links (link) VALUES (?1)";

const TEXTS: &str = "SELECT id, text FROM tel_texts";

/// How many links a writer looks at after a batch that took some away; whoever prunes does the rest.
const AFTER_BATCH: usize = 256;

/// What one writer knows of the content in its store.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Contents {
    /// Whether there may be any: where there never was, nothing is looked for.
    is_any: bool,
    /// Whether something was taken away since it was last looked for.
    is_loose: bool,
}

impl Contents {
    pub(super) fn of(connection: &Connection) -> rusqlite::Result<Contents> {
        Ok(Contents {
            is_any: connection.query_row(IS_ANY, [], |row| row.get(0))?,
            is_loose: false,
        })
    }

    /// Whether the row of a span that is said anew may have said something before.
    pub(super) fn is_any(self) -> bool {
        self.is_any
    }

    /// Spans were taken away, and with them what they said.
    pub(super) fn loosened(&mut self) {
        self.is_loose |= self.is_any;
    }

    /// Takes back what a span said until now.
    pub(super) fn clear(&mut self, connection: &Connection, span: i64) -> rusqlite::Result<()> {
        connection.prepare_cached(LOOSEN)?.execute([span])?;
        connection.prepare_cached(CLEAR)?.execute([span])?;
        self.loosened();
        Ok(())
    }

    /// Notes what a span says.
    pub(super) fn put(
        &mut self,
        connection: &Connection,
        span: i64,
        contents: &[ContentRow<'_>],
    ) -> rusqlite::Result<()> {
        self.is_any = true;
        for content in contents {
            let objects = split::objects(content.text);
            let is_list = objects.is_some();
            let mut last = 0;
            for text in objects.unwrap_or_else(|| vec![content.text]) {
                last = link(connection, last, text)?;
            }
            let values = params![span, content.place, is_list, last];
            connection.prepare_cached(INSERT)?.execute(values)?;
        }
        Ok(())
    }

    /// Takes away what the batch left without anybody who says it.
    pub(super) fn settle(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        if self.is_loose {
            self.is_loose = collect(connection, AFTER_BATCH)?;
        }
        Ok(())
    }
}

/// The link that has this text behind that link; made where it is new.
fn link(connection: &Connection, before: i64, said: &str) -> rusqlite::Result<i64> {
    let (text, is_new) = text(connection, said)?;
    if !is_new {
        let found = connection
            .prepare_cached(FIND_LINK)?
            .query_row([before, text], |row| row.get(0))
            .optional()?;
        if let Some(id) = found {
            return Ok(id);
        }
    }
    connection
        .prepare_cached(INSERT_LINK)?
        .execute([before, text])?;
    Ok(connection.last_insert_rowid())
}

/// The number of a text, and whether nobody has said it before.
fn text(connection: &Connection, said: &str) -> rusqlite::Result<(i64, bool)> {
    // Should its way of hashing change some day, texts are stored a second time, and that is all.
    let mut hasher = DefaultHasher::new();
    said.hash(&mut hasher);
    let hash = hasher.finish().cast_signed();
    let found = connection
        .prepare_cached(FIND_TEXT)?
        .query_row(params![hash, said], |row| row.get(0))
        .optional()?;
    if let Some(id) = found {
        return Ok((id, false));
    }
    connection
        .prepare_cached(INSERT_TEXT)?
        .execute(params![hash, said])?;
    let id = connection.last_insert_rowid();
    let said = Said::read(said);
    connection
        .prepare_cached(INDEX_TEXT)?
        .execute(params![id, said.words, said.role])?;
    Ok((id, true))
}

/// Whether links are to be looked at.
pub(super) fn is_loose(connection: &Connection) -> rusqlite::Result<bool> {
    connection.prepare_cached(NEXT_LOOSE)?.exists([])
}

/// Looks at so many links that were let go, and takes away those that nobody says, with their texts;
/// whether there may be more.
pub(super) fn collect(connection: &Connection, most: usize) -> rusqlite::Result<bool> {
    for _ in 0..most {
        let next: Option<i64> = connection
            .prepare_cached(NEXT_LOOSE)?
            .query_row([], |row| row.get(0))
            .optional()?;
        let Some(link) = next else { return Ok(false) };
        connection.prepare_cached(SETTLE)?.execute([link])?;
        let gone: Option<(i64, i64)> = connection
            .prepare_cached(DROP_LINK)?
            .query_row([link], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((before, text)) = gone else { continue };
        if connection.prepare_cached(DROP_TEXT)?.execute([text])? == 1 {
            connection.prepare_cached(DROP_WORDS)?.execute([text])?;
        }
        if before != 0 {
            connection.prepare_cached(LOOSE)?.execute([before])?;
        }
    }
    Ok(true)
}

/// Makes the index of words anew from the texts that are there.
pub(super) fn index(connection: &Connection) -> rusqlite::Result<()> {
    let mut texts = connection.prepare(TEXTS)?;
    let mut insert = connection.prepare(INDEX_TEXT)?;
    let mut rows = texts.query([])?;
    while let Some(row) = rows.next()? {
        let said = Said::read(row.get_ref(1)?.as_str().unwrap_or_default());
        insert.execute(params![row.get::<_, i64>(0)?, said.words, said.role])?;
    }
    Ok(())
}
