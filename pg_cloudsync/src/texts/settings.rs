//! Which columns are merged by lines: what `cloudsync_set_column` said.

use cloudsync_shared::id::ColumnId;
use cloudsync_shared::text::Delimiter;
use pgrx::Spi;

use crate::error::Result;
use crate::ffi::owner::AsOwner;

/// One setting of a column.
#[derive(Clone, Debug)]
pub struct TextSetting {
    /// The number of the table.
    pub table: i32,
    /// The column's name.
    pub column: String,
    /// `algo`, `delimiter` or `merge`.
    pub key: String,
    /// Its value.
    pub value: String,
}

/// The settings that decide about lines, of these tables.
///
/// # Errors
/// The metadata cannot be read.
pub fn read_settings(tables: Vec<i32>) -> Result<Vec<TextSetting>> {
    if tables.is_empty() {
        return Ok(Vec::new());
    }
    let _owner = AsOwner::enter()?;
    let sql = "SELECT table_id, col_name, key, value FROM cloudsync.table_settings \
        WHERE table_id = ANY ($1) AND col_name <> '*' AND key IN ('algo', 'delimiter', 'merge')";
    Spi::connect(|client| {
        let mut settings = Vec::new();
        for row in client.select(sql, None, &[tables.into()])? {
            settings.push(TextSetting {
                table: row.get(1)?.unwrap_or_default(),
                column: row.get(2)?.unwrap_or_default(),
                key: row.get(3)?.unwrap_or_default(),
                value: row.get(4)?.unwrap_or_default(),
            });
        }
        Ok(settings)
    })
}

/// Those columns of a table that are merged by lines, each with its delimiter.
pub fn texts_of<'a>(
    settings: &[TextSetting],
    table: i32,
    columns: impl Iterator<Item = (&'a str, ColumnId)>,
) -> Vec<(ColumnId, Delimiter)> {
    let value = |column: &str, key: &str| {
        let mut own = settings.iter().filter(|setting| setting.table == table && setting.column == column);
        own.find(|setting| setting.key == key).map(|setting| setting.value.as_str())
    };
    let is_block = |(name, _): &(&str, ColumnId)| value(name, "algo") == Some("block");
    columns
        .filter(is_block)
        .map(|(name, id)| {
            let delimiter = Delimiter::of_settings(value(name, "merge"), value(name, "delimiter"));
            (id, delimiter.unwrap_or_default())
        })
        .collect()
}
