//! The table of what a secret looks like: vendors' prefixes, and shapes around one in headers, URLs and commands.

/// A secret known by what it looks like, or by what stands around it.
pub(super) struct Shape {
    /// A cheap pattern of ASCII that is in every text the other one matches.
    pub(super) needle: &'static str,
    /// The secret is the first group, or the whole match where there is no group.
    pub(super) pattern: &'static str,
    /// It begins a word: its prefix means nothing within one.
    pub(super) is_word: bool,
    pub(super) test: Test,
}

/// What the match must stand besides its pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Test {
    /// The pattern says enough.
    Any,
    /// It looks like chance, for plain words are written in the same way.
    Random,
    /// It is no word of the header itself (`Bearer`, `Basic`) and no placeholder.
    Credential,
    /// It is `user:password` in base64.
    Pair,
}

const fn token(needle: &'static str, pattern: &'static str) -> Shape {
    Shape {
        needle,
        pattern,
        is_word: true,
        test: Test::Any,
    }
}

const fn random(needle: &'static str, pattern: &'static str) -> Shape {
    Shape {
        needle,
        pattern,
        is_word: true,
        test: Test::Random,
    }
}

const fn around(needle: &'static str, pattern: &'static str) -> Shape {
    Shape {
        needle,
        pattern,
        is_word: false,
        test: Test::Any,
    }
}

const fn judged(needle: &'static str, pattern: &'static str, test: Test) -> Shape {
    Shape {
        needle,
        pattern,
        is_word: false,
        test,
    }
}

/// Every shape. No pattern looks ahead of what it takes, which keeps the search linear.
pub(super) static SHAPES: &[Shape] = &[
    // Model providers and what agents use beside them.
    token("sk-ant-", r"sk-ant-[A-Za-z0-9_-]{16,}"),
    token(
        "sk-(?:proj|svcacct|admin|None|or|lf)-",
        r"sk-(?:proj|svcacct|admin|None|or|lf)-[A-Za-z0-9_-]{16,}",
    ),
    random("sk-", r"sk-[A-Za-z0-9_-]{16,}"),
    token("gsk_", r"gsk_[A-Za-z0-9]{20,}"),
    token("xai-", r"xai-[A-Za-z0-9]{20,}"),
    token("hf_", r"hf_[A-Za-z0-9]{20,}"),
    token("api_org_", r"api_org_[A-Za-z0-9]{20,}"),
    token("r8_", r"r8_[A-Za-z0-9]{20,}"),
    token("tvly-", r"tvly-[A-Za-z0-9_-]{16,}"),
    token("pplx-", r"pplx-[A-Za-z0-9]{20,}"),
    token("nvapi-", r"nvapi-[A-Za-z0-9_-]{20,}"),
    random("fw_", r"fw_[A-Za-z0-9]{20,}"),
    token("tgp_v1_", r"tgp_v1_[A-Za-z0-9_-]{20,}"),
    token("jina_", r"jina_[A-Za-z0-9]{20,}"),
    random("csk-", r"csk-[A-Za-z0-9]{20,}"),
    token("esecret_", r"esecret_[A-Za-z0-9]{20,}"),
    token("lsv2_", r"lsv2_(?:pt|sk)_[A-Za-z0-9_]{20,}"),
    token("pcsk_", r"pcsk_[A-Za-z0-9_]{20,}"),
    random("e2b_", r"e2b_[A-Za-z0-9]{20,}"),
    random("fc-", r"fc-[a-f0-9]{32}"),
    random("m0-", r"m0-[A-Za-z0-9]{30,}"),
    token("bb_live_", r"bb_live_[A-Za-z0-9_-]{16,}"),
    token("apify_api_", r"apify_api_[A-Za-z0-9]{20,}"),
    // Clouds.
    token("AIza", r"AIza[A-Za-z0-9_-]{30,}"),
    random(r"AQ\.", r"AQ\.[A-Za-z0-9_-]{30,}"),
    token(r"ya29\.", r"ya29\.[A-Za-z0-9_.-]{20,}"),
    token("1//0", r"1//0[A-Za-z0-9_-]{30,}"),
    token("GOCSPX-", r"GOCSPX-[A-Za-z0-9_-]{20,}"),
    token(
        "A(?:KIA|SIA|BIA|CCA)[A-Z0-9]",
        r"A(?:KIA|SIA|BIA|CCA)[A-Z0-9]{16}",
    ),
    token("ABSK", r"ABSK[A-Za-z0-9+/]{60,}={0,2}"),
    token(
        "bedrock-api-key-",
        r"bedrock-api-key-[A-Za-z0-9+/]{20,}={0,2}",
    ),
    judged(
        "8Q~",
        r"[A-Za-z0-9_~.-]{3}8Q~[A-Za-z0-9_~.-]{31,34}",
        Test::Random,
    ),
    token("do[por]_v1_", r"do[por]_v1_[a-f0-9]{40,}"),
    token("HRKU-", r"HRKU-[A-Za-z0-9_-]{20,}"),
    token("dapi[a-f0-9]", r"dapi[a-f0-9]{32}(?:-\d)?"),
    token(r"hv[sbr]\.", r"hv[sbr]\.[A-Za-z0-9_-]{20,}"),
    around(
        r"atlasv1\.",
        r"[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{40,}",
    ),
    token(
        r"dp\.(?:pt|st|ct|sa|scim|audit)\.",
        r"dp\.(?:pt|st|ct|sa|scim|audit)\.[A-Za-z0-9.]{20,}",
    ),
    token("pul-", r"pul-[a-f0-9]{40}"),
    token("tskey-", r"tskey-[a-z]+-[A-Za-z0-9-]{10,}"),
    token(
        "sb(?:p|_secret)_",
        r"(?:sbp_[a-f0-9]{40}|sb_secret_[A-Za-z0-9_-]{16,})",
    ),
    // Code, packages, delivery.
    token("gh[pousr]_", r"gh[pousr]_[A-Za-z0-9]{20,}"),
    token("github_pat_", r"github_pat_[A-Za-z0-9_]{20,}"),
    token(
        "gl[a-z]{2,6}-",
        r"gl(?:pat|rt|ptt|dt|oas|cbt|ft|imt|agent|soat|ffct)-[A-Za-z0-9_.-]{16,}",
    ),
    token("npm_", r"npm_[A-Za-z0-9]{30,}"),
    token("pypi-", r"pypi-[A-Za-z0-9_-]{30,}"),
    token("rubygems_", r"rubygems_[a-f0-9]{40,}"),
    random("cio[A-Za-z0-9]{8}", r"cio[A-Za-z0-9]{32}"),
    token("dckr_[po]at_", r"dckr_[po]at_[A-Za-z0-9_-]{20,}"),
    token("sq[pua]_", r"sq[pua]_[a-f0-9]{40}"),
    token("sgp_", r"sgp_[A-Za-z0-9_]{40,}"),
    token("bkua_", r"bkua_[a-f0-9]{40}"),
    token("nfp_", r"nfp_[A-Za-z0-9]{30,}"),
    token("CCIPAT_", r"CCIPAT_[A-Za-z0-9_]{20,}"),
    token("PMAK-", r"PMAK-[a-f0-9]{24}-[a-f0-9]{34}"),
    token(
        "gl(?:sa|c)_",
        r"gl(?:sa_[A-Za-z0-9]{20,}_[a-f0-9]{8}|c_[A-Za-z0-9+/]{30,}={0,2})",
    ),
    token("NRAK-", r"NRAK-[A-Z0-9]{20,}"),
    token("sntr[yu]", r"sntry[su]_[A-Za-z0-9+/=_-]{20,}"),
    token("phx_", r"phx_[A-Za-z0-9]{20,}"),
    token("lin_(?:api|oauth)_", r"lin_(?:api|oauth)_[A-Za-z0-9]{20,}"),
    token("AGE-SECRET-KEY-1", r"AGE-SECRET-KEY-1[A-Z0-9]{20,}"),
    // Chat, mail, payment, content.
    token(
        "xox[abeoprs]",
        r"xox[abeoprs](?:\.xox[bp])?-[A-Za-z0-9-]{10,}",
    ),
    token("xapp-", r"xapp-\d-[A-Za-z0-9-]{10,}"),
    around(
        r"hooks\.slack\.com",
        r"hooks\.slack\.com(?:\\?/)(?:services|workflows|triggers)(?:\\?/)([A-Za-z0-9_+-]+(?:\\?/[A-Za-z0-9_+-]+)*)",
    ),
    around(
        r"discord(?:app)?\.com",
        r"discord(?:app)?\.com\\?/api(?:\\?/v\d+)?\\?/webhooks\\?/\d+\\?/([A-Za-z0-9_-]{20,})",
    ),
    around(":AA", r"\b\d{8,12}:AA[A-Za-z0-9_-]{32,40}"),
    token(r"SG\.", r"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"),
    token("key-[0-9a-f]", r"key-[0-9a-f]{32}"),
    token(
        "[sr]k_(?:live|test)_",
        r"[sr]k_(?:live|test)_[A-Za-z0-9]{10,}",
    ),
    random("sk_", r"sk_[a-f0-9]{40,}"),
    token("whsec_", r"whsec_[A-Za-z0-9+/]{16,}={0,2}"),
    token("shp[a-z]{2}_", r"shp(?:at|ca|pa|ss)_[A-Fa-f0-9]{20,}"),
    token("SK[0-9a-f]", r"SK[0-9a-f]{32}"),
    token("ntn_", r"ntn_[A-Za-z0-9]{20,}"),
    token("figd_", r"figd_[A-Za-z0-9_-]{20,}"),
    token("ATATT3", r"ATATT3[A-Za-z0-9_=-]{30,}"),
    token("ATBB", r"ATBB[A-Za-z0-9]{28,}"),
    token("CFPAT-", r"CFPAT-[A-Za-z0-9_-]{20,}"),
    token("EAA[A-Za-z0-9]", r"EAA[A-Za-z0-9]{60,}"),
    token("pat[A-Za-z0-9]{14}", r"pat[A-Za-z0-9]{14}\.[a-f0-9]{40,}"),
    // Any JSON Web Token, the signature cut off or not.
    token(
        "eyJ",
        r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.{1,2}[A-Za-z0-9_-]+){0,3}",
    ),
    // Headers.
    judged(
        "(?i)authorization",
        r#"(?i)\bauthorization\b[\\"' \t]{0,40}[:=>][\\"' \t>]{0,40}(?:(?:bearer|basic|token|bot|apikey|negotiate|ntlm)[ \t]+)?([A-Za-z0-9._~+/=:%-]+)"#,
        Test::Credential,
    ),
    around("AWS4-HMAC", r#"AWS4-HMAC-SHA256[ \t]+([^\r\n"'\\]{8,})"#),
    around(
        "(?i)response=",
        r#"(?i)\bresponse=[\\"']{1,40}([0-9a-f]{32,128})\b"#,
    ),
    judged(
        "(?i)bearer",
        r"(?i)\bbearer[ \t]+([A-Za-z0-9._~+/=-]{8,})",
        Test::Random,
    ),
    judged(
        "(?i)basic ",
        r"(?i)\bbasic[ \t]+([A-Za-z0-9+/]{8,}={0,2})",
        Test::Pair,
    ),
    around(
        "(?i)cookie",
        r#"(?i)\b(?:set-)?cookie2?\b[\\"']{0,40}[ \t]*[:=,][ \t]*[\\"']{0,40}([^\s=;:"'\\{}\[]{1,128}=[^\r\n"'\\]+)"#,
    ),
    // URLs and command lines.
    around(
        r"(?:://|:\\/)(?su:.*)@",
        r#":(?:\\?/){2}[^\s/@:"'<>\\?#\[]*:([^\s/"'<>\\?#]+)@"#,
    ),
    judged(
        r"(?:://|:\\/)(?su:.*)@",
        r#":(?:\\?/){2}([^\s/@:"'<>\\?#\[]{16,})(?::[^\s/@"'<>\\?#]*)?@"#,
        Test::Random,
    ),
    around(
        "(?i)mysql|mariadb",
        r#"(?i)\b(?:mysql|mariadb)[a-z_-]*\b[^\r\n|;&]{0,200}?[ \t]-p([^\s"'\\]+)"#,
    ),
    around(
        "(?i)curl|wget",
        r#"(?i)\b(?:curl|wget)\b[^\r\n|;]{0,400}?[ \t](?:-u|--user|--proxy-user)[ =]?[\\"']{0,40}[^\s:"'\\\[]*:([^\s"'\\]+)"#,
    ),
    around(
        "(?i)sshpass",
        r#"(?i)\bsshpass[ \t]+-p[ \t]*[\\"']{0,40}([^\s"'\\]+)"#,
    ),
    around(
        "(?i)redis-cli",
        r#"(?i)\bredis-cli\b[^\r\n|;&]{0,200}?[ \t]-a[ \t]+[\\"']{0,40}([^\s"'\\]+)"#,
    ),
    around(
        "(?i) login",
        r#"(?i)[a-z] login\b[^\r\n|;&]{0,200}?[ \t]-p[ \t]+[\\"']{0,40}([^\s"'\\]+)"#,
    ),
    around(
        "(?i)identified",
        r"(?i)\bidentified[ \t]+(?:with[ \t]+\S+[ \t]+)?by[ \t]+(?:password[ \t]+)?'([^'\r\n\\]+)",
    ),
];
