//! Files of settings with secrets in them, in their places and by mistake, the user's and the machine's.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::search::percent_encoded;
use crate::secret::Secret;

/// All that is told of such files.
pub(crate) fn told_of(secret: &Secret, home: &Path) -> String {
    let mut said = String::new();
    for (number, file) in files(secret).iter().enumerate() {
        let folder = home.join(format!("{}-{number}", secret.number));
        fs::create_dir(&folder).unwrap();
        let path = folder.join("telemetry.toml");
        fs::write(&path, file).unwrap();
        let builder = hermes::builder().store_path(folder.join("telemetry.db"));
        let builder = if (secret.number + number).is_multiple_of(2) {
            builder.settings_file(&path)
        } else {
            builder
                .__managed_file(&path)
                .settings_file(folder.join("none.toml"))
        };
        let privacy = builder.privacy();
        let status = privacy.status();
        // That something is told shows that the file was read.
        assert!(!status.troubles.is_empty(), "{file}");
        let json = serde_json::to_string(&status).unwrap();
        writeln!(said, "{status} {status:?} {json} {privacy:?}").unwrap();
        let preview = privacy.preview([]);
        writeln!(said, "{preview} {preview:?}").unwrap();
    }
    assert!(said.contains(&secret.marker("endpoint")), "{said}");
    said
}

fn files(secret: &Secret) -> [String; 6] {
    let core = toml_edit::Value::from(secret.core.as_str()).to_string();
    let text = toml_edit::Value::from(secret.text.as_str()).to_string();
    let key = serde_json::to_string(&secret.text).unwrap();
    let userinfo = percent_encoded(&secret.core);
    let host = secret.marker("endpoint");
    [
        format!(
            "[export.otlp]\nenabled = true\nendpoint = \"https://u:{userinfo}@{host}:1/?api_key={userinfo}\"\nheaders_env = {{ authorization = {text} }}\n"
        ),
        format!(
            "local = {text}\nconsent_state = {text}\nallow_aggregate = {text}\ninstall_id = {text}\n"
        ),
        format!(
            "retention_days = {text}\nmax_bytes = {text}\nredact_secrets = {text}\ncontent_redaction = {text}\n[trajectories]\nenabled = {text}\n"
        ),
        format!(
            "api_key = {core}\nunheard_of = {text}\n{key} = 1\n[export.otlp]\nendpoint = {text}\n"
        ),
        format!("local = true\nlocal = true {text} =\n"),
        secret.text.clone(),
    ]
}
