//! Secrets known by what stands around them: headers, addresses, command lines, hashes of passwords.

use super::{Kind, Test, around, key, within};

#[rustfmt::skip]
pub(super) static KINDS: &[Kind] = &[
    // JSON Web Tokens, signed or encrypted; with less than two parts only where the header is one of theirs.
    around("jwt", &["eyJ"], r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.{1,2}[A-Za-z0-9_-]+){0,3}", Test::Any),
    key("jwt-cut", &["eyJhbGciOi", "eyJ0eXAiOi", "eyJraWQiOi", "eyJlbmMiOi", "eyJ4NXQiOi"], r"eyJ[A-Za-z0-9_-]{24,}"),
    // Headers (RFC 7617, 6750, 7616, 6265; AWS signature version 4).
    around("authorization", &["authorization"], r#"(?i)authorization\b[\\"'` \t]{0,40}(?:[:=>,]|is\b|\\u003[ad])[\\"'`\[( \t>]{0,40}(?:(?:bearer|basic|token|bot|apikey|api-key|negotiate|ntlm|splunk|ssws|key)[ \t]+)?([A-Za-z0-9._~+/=:%|-]+)"#, Test::Credential),
    around("aws-signature", &["aws4-hmac"], r#"AWS4-HMAC-SHA256[ \t]+([^\r\n"'\\]{8,})"#, Test::Given),
    around("digest", &["response="], r#"(?i)response=[\\"']{1,40}([0-9a-f]{12,128})"#, Test::Any),
    around("bearer", &["bearer"], r"(?i)\bbearer[ \t]+([A-Za-z0-9._~+/=|-]{8,})", Test::Random),
    around("basic", &["basic "], r"(?i)\bbasic[ \t]+([A-Za-z0-9+/]{8,}={0,2})", Test::Pair),
    around("cookie", &["cookie"], r#"(?i)cookie2?\b[\\"'`]{0,40}[ \t]*[:=,][ \t]*[\\"'`]{0,40}([^\s=;:"'`\\{}\[\]()<>]{1,128}=[^\r\n"'`\\]+)"#, Test::Given),
    // Addresses (RFC 3986, userinfo).
    around("url-password", &["://", ":\\/"], r#":(?:\\*/){2}[^\s/@:"'`<>\\?#\[]*:([^\s/"'`<>\\?#]+)@"#, Test::Given),
    around("url-key", &["://", ":\\/"], r#":(?:\\*/){2}([^\s/@:"'`<>\\?#\[]{16,})(?::[^\s/@"'`<>\\?#]*)?@"#, Test::Userinfo),
    around("url-password-cut", &["://", ":\\/"], r#":(?:\\*/){2}[^\s/@:"'`<>\\?#\[]*:([^\s/@"'`<>\\?#…]{4,}?)(?:…|\.\.\.|\z)"#, Test::Random),
    within("data-source", &["@tcp(", "@unix("], 96, r#"[A-Za-z0-9_.-]+:([^\s@:/"'\\]+)@(?:tcp|unix)\("#),
    around("oracle", &["jdbc:oracle"], r#"jdbc:oracle:[a-z]+:[^\s/@"'\\]+/([^\s/@"'\\]+)@"#, Test::Given),
    // Command lines. A program's name, its flag, and what follows.
    around("mysql", &["mysql", "mariadb"], r#"(?i)\b(?:mysql|mariadb)[a-z_-]*\b[^\r\n|;&]{0,200}?[ \t"']-p([^\s"'\\,=-][^\s"'\\]*)"#, Test::Given),
    around("curl", &["curl", "wget", "httpie"], r#"(?i)\b(?:curl|wget|https?ie)\b[^\r\n|;]{0,400}?[ \t"'](?:-u|--user|--proxy-user|-a|-U)(?:[ =]|\\*["'],[ \t]*)?[\\"']{0,40}[^\s:"'\\\[/]*:([^\s"'\\]+)"#, Test::Given),
    around("sshpass", &["sshpass"], r#"(?i)\bsshpass[ \t]+-p[ \t]*[\\"']{0,40}([^\s"'\\]+)"#, Test::Given),
    around("redis-cli", &["redis-cli"], r#"(?i)\bredis-cli\b[^\r\n|;&]{0,200}?[ \t"'](?:-a|--pass)(?:[ \t]+|\\*["'],[ \t]*)[\\"']{0,40}([^\s"'\\]+)"#, Test::Given),
    around("login", &[" login"], r#"(?i) login\b[^\r\n|;&]{0,200}?[ \t](?:-p|--password)[ \t=]+[\\"']{0,40}([^\s"'\\]+)"#, Test::Given),
    around("mongo", &["mongo", "cqlsh", "clickhouse-client", "rabbitmqadmin"], r#"(?i)\b(?:mongo(?:sh|dump|restore|export|import)?|cqlsh|clickhouse-client|rabbitmqadmin)\b[^\r\n|;&]{0,200}?[ \t]-p[ \t]*[\\"']{0,40}([^\s"'\\]+)"#, Test::Given),
    around("ldap", &["ldapsearch", "ldapadd", "ldapmodify", "ldapwhoami"], r#"(?i)\bldap(?:search|add|modify|whoami)\b[^\r\n|;&]{0,200}?[ \t]-w[ \t]*[\\"']{0,40}([^\s"'\\]+)"#, Test::Given),
    around("smb", &["smbclient", "rpcclient", "crackmapexec"], r#"(?i)\b(?:smbclient|rpcclient|crackmapexec)\b[^\r\n|;&]{0,200}?[ \t]-U[ \t]*[\\"']{0,40}[^\s%"']+%([^\s"'\\]+)"#, Test::Given),
    around("archive", &["zip ", "7z "], r#"(?i)\b(?:(?:un)?zip|7z[ \t]+[aextu])\b[^\r\n|;&]{0,200}?[ \t](?:-P[ \t]*|-p)[\\"']{0,40}([^\s"'\\]+)"#, Test::Given),
    around("openssl", &["pass:"], r#"\bpass:([^\s"'\\:,;]{4,})"#, Test::Random),
    around("identified-by", &["identified"], r"(?i)\bidentified[ \t]+(?:with[ \t]+\S+[ \t]+)?by[ \t]+(?:password[ \t]+)?\\*'([^'\r\n\\]+)", Test::Given),
    around("sudo", &["sudo "], r#"(?i)sudo[ \t]+-S\b[^\r\n]{0,80}?<<<[ \t]*[\\"']{0,40}([^\s"'\\]+)"#, Test::Given),
    // What passwords are kept as (crypt(5), the PHC string format, Django).
    around("password-hash", &["$2a$", "$2b$", "$2y$", "$1$", "$5$", "$6$", "$y$", "$7$", "$apr1$", "$argon2", "$pbkdf2", "$scrypt"], r"\$(?:2[aby]\$\d\d|[1567y]|apr1|argon2(?:id|i|d)|pbkdf2[a-z0-9-]*|scrypt)\$[./A-Za-z0-9$=,+_-]{20,}", Test::Any),
    around("password-hash-django", &["pbkdf2_sha"], r"pbkdf2_sha(?:1|256)\$\d+\$[A-Za-z0-9]+\$[A-Za-z0-9+/=]{20,}", Test::Any),
];
