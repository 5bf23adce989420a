//! Keys of chats, mail and telephony, and the addresses that are keys.

use super::{Kind, Test, around, exact, key, weak, within};

#[rustfmt::skip]
pub(super) static KINDS: &[Kind] = &[
    key("slack", &["xoxb-", "xoxp-", "xoxa-", "xoxr-", "xoxs-", "xoxo-", "xoxe-", "xoxc-", "xoxd-", "xoxe.xox"], r"xox(?:[abceoprsd]|e\.xox[bp])-(?:\d-)?[A-Za-z0-9%/+-]{10,}"), // Slack docs, token types
    key("slack-app", &["xapp-"], r"xapp-\d-[A-Z0-9]+-\d+-[a-f0-9]{20,}"),
    key("slack-workflow", &["xwfp-"], r"xwfp-[A-Za-z0-9-]{20,}"),
    around("slack-webhook", &["hooks.slack.com"], r"hooks\.slack\.com(?:\\*/)(?:services|workflows|triggers)(?:\\*/)([A-Za-z0-9_+-]+(?:\\*/[A-Za-z0-9_+-]+)*)", Test::Given),
    around("discord-webhook", &["discord.com", "discordapp.com"], r"discord(?:app)?\.com\\*/api(?:\\*/v\d+)?\\*/webhooks\\*/\d+\\*/([A-Za-z0-9_-]{20,})", Test::Any),
    around("teams-webhook", &[".webhook.office.com"], r"\.webhook\.office\.com\\*/webhookb2\\*/([A-Za-z0-9@_-]+(?:\\*/[A-Za-z0-9@_-]+)*)", Test::Given),
    around("power-automate", &[".logic.azure.com"], r#"\.logic\.azure\.com(?::\d+)?\\*/[^\s"'<>]{1,400}?[?&](?:amp;)?sig=([A-Za-z0-9_%-]{20,})"#, Test::Any),
    around("google-chat-webhook", &["chat.googleapis.com"], r#"chat\.googleapis\.com\\*/v1\\*/spaces\\*/[^\s"'<>]{1,300}?[?&]token=([A-Za-z0-9_%-]{20,})"#, Test::Any),
    around("zapier-webhook", &["hooks.zapier.com"], r"hooks\.zapier\.com\\*/hooks\\*/catch\\*/([0-9]+\\*/[A-Za-z0-9]+)", Test::Any),
    around("make-webhook", &["hook.eu", "hook.us"], r"hook\.(?:eu|us)\d\.make\.com\\*/([a-z0-9]{32})", Test::Any),
    around("telegram-url", &["api.telegram.org"], r"api\.telegram\.org\\*/(?:file\\*/)?bot(\d{8,10}:[A-Za-z0-9_-]{20,})", Test::Any),
    within("telegram", &[":AA"], 10, r"\b\d{8,10}:AA[A-Za-z0-9_-]{16,34}"),
    key("sendgrid", &["SG."], r"SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{8,50}"),
    exact("mailgun", &["key-"], r"key-[a-f0-9]{32}"),
    within("mailchimp", &["-us1", "-us2", "-us3", "-us4", "-us5", "-us6", "-us7", "-us8", "-us9"], 32, r"\b[a-f0-9]{32}-us\d{1,2}"),
    key("brevo", &["xkeysib-", "xsmtpsib-"], r"x(?:key|smtp)sib-[a-f0-9]{64}-[A-Za-z0-9]{16}"),
    weak("resend", &["re_"], r"re_[A-Za-z0-9]{8}_[A-Za-z0-9]{8,26}"),
    key("mailersend", &["mlsn."], r"mlsn\.[a-f0-9]{64}"),
    exact("klaviyo", &["pk_"], r"pk_[a-f0-9]{34}"),
    key("facebook", &["EAACEdEose0cBA", "EAAG", "EAAB", "EAAJ", "EAAL"], r"EAA[A-Za-z0-9]{60,}"),
    key("twitter-bearer", &["AAAAAAAAAAAAAAAAAAAAA"], r"A{21,22}[A-Za-z0-9%]{60,}"),
    weak("instagram", &["IGQV", "IGAA"], r"IG(?:QV|AA)[A-Za-z0-9_-]{60,}"),
    key("matrix", &["syt_"], r"syt_[A-Za-z0-9+/=]{2,}_[A-Za-z0-9]{20}_[A-Za-z0-9]{6}"),
];
