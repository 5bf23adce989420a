//! Files of settings with secrets in them, in their places and by mistake.

use std::fs;
use std::io::Write;
use std::path::Path;

use crate::search::percent_encoded;
use crate::secret::Secret;

pub(crate) fn run(secrets: &[Secret], home: &Path) {
    let mut said = fs::File::create(home.join("outputs/settings.txt")).unwrap();
    for secret in secrets {
        let core = toml_edit::Value::from(secret.core.as_str()).to_string();
        let text = toml_edit::Value::from(secret.text.as_str()).to_string();
        let userinfo = percent_encoded(&secret.core);
        let files = [
            format!(
                "[export.otlp]\nenabled = true\nendpoint = \"https://u:{userinfo}@host:1/?api_key={userinfo}\"\nheaders_env = {{ authorization = {text} }}\n"
            ),
            format!(
                "local = {text}\nconsent_state = {text}\nallow_aggregate = {text}\ninstall_id = {text}\n"
            ),
            format!(
                "retention_days = {text}\nmax_bytes = {text}\n[trajectories]\nenabled = {text}\n"
            ),
            format!(
                "api_key = {core}\nunheard_of = {text}\n{text} = 1\n[export.otlp]\nendpoint = {text}\n"
            ),
            format!("local = true\nlocal = true {text} =\n"),
            secret.text.clone(),
        ];
        for (number, file) in files.iter().enumerate() {
            let folder = home.join(format!("settings/{}-{number}", secret.number));
            fs::create_dir_all(&folder).unwrap();
            let path = folder.join("telemetry.toml");
            fs::write(&path, file).unwrap();
            let builder = || {
                let builder = hermes::builder().settings_file(&path);
                builder.store_path(folder.join("telemetry.db"))
            };
            let privacy = builder().privacy();
            let status = privacy.status();
            let json = serde_json::to_string(&status).unwrap();
            writeln!(said, "{status} {status:?} {json} {privacy:?}").unwrap();
            let preview = privacy.preview([]);
            writeln!(said, "{preview} {preview:?}").unwrap();
        }
    }
}
