//! Templates that would take all memory or never end, and templates that are no worse for the bounds.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

use lancer_jinja::{MAX_EXPRESSION_TOKENS, MAX_SOURCE_BYTES, Template, environment};
use minijinja::UndefinedBehavior;
use serde_json::json;

fn render(source: &str) -> Result<String, minijinja::Error> {
    let context = json!({
        "messages": [{"role": "user", "content": "Hi <there>"}, {"role": "assistant", "content": "Yes."}],
        "x": "abc",
        "numbers": [3, 1, 2],
    });
    Template::new(environment(), source)?.render(context)
}

fn refused(source: &str) -> String {
    render(source).map_or_else(|error| error.to_string(), |text| panic!("{source}: {} bytes", text.len()))
}

#[test]
fn what_grows_without_bound_is_refused() {
    let doubled = |step: &str| {
        format!(
            "{{% set n = namespace(s='ha', l=[1]) %}}{{% for i in range(200) %}}{step}{{% endfor %}}{{{{ n.s|length }}}}"
        )
    };
    let growing = [
        "{% set n.s = n.s ~ n.s %}",
        "{% set n.s = n.s + n.s %}",
        "{% set n.s = n.s * 99 %}",
        "{% set n.s = n.s|replace('a', n.s) %}",
        "{% set n.s = n.s.replace('a', n.s) %}",
        "{% set n.s = n.s.join(n.s.split('')) %}",
        "{% set n.s = [n.s, n.s]|join(n.s) %}",
        "{% set n.s %}{{ n.s }}{{ n.s }}{% endset %}",
        "{% set n.s = [n.s, n.s]|string %}",
        "{% set n.s = [n.s, n.s]|tojson %}",
        "{% set n.s = '%s%s'|format(n.s, n.s) %}",
        "{% set n.s = '{}{}'.format(n.s, n.s) %}",
        "{% set n.s = n.s|map('replace', 'a', n.s)|join %}",
        "{% set n.s = [n.s, n.s]|pprint %}",
        "{% set n.l = n.l + n.l %}{% set n.s = n.l|list %}",
        "{% set n.l = n.l * 1000 %}{% set n.s = n.l|list %}",
        "{% set n.l = (n.l|list + n.l|list)|list %}",
        "{% set n.l = [n.l, n.l] %}",
        "{% set n.l = {'a': n.l, 'b': n.l} %}",
        "{% set n.l = dict(a=n.l, b=n.l) %}",
    ];
    for step in growing {
        let reason = refused(&doubled(step));
        assert!(reason.contains("bytes") || reason.contains("levels"), "{step}: {reason}");
    }
}

#[test]
fn a_length_that_a_template_names_is_refused() {
    for source in [
        "{{ 'a' * 1000000000 }}",
        "{{ 'a' * 10 ** 9 }}",
        "{{ ('a' * 100000) * 100000 }}",
        "{{ x * 1000000000 }}",
        "{{ x * 99999999999999999 }}",
        "{{ (numbers * 1000000000)|list }}",
        "{{ numbers * 6148914691236517206 }}",
        "{{ x|indent(99999999999) }}",
        "{{ [1]|tojson(indent=99999999999) }}",
        "{{ '%999999999d'|format(1) }}",
        "{{ '%*d'|format(999999999, 1) }}",
        "{{ '{:999999999}'.format(1) }}",
        "{{ '{:{}}'.format(1, 999999999) }}",
        "{{ numbers|batch(9999999999, 'x') }}",
        "{{ numbers|slice(9999999999) }}",
        "{{ range(100000000000) }}",
    ] {
        refused(source);
    }
}

#[test]
fn what_does_not_end_is_ended() {
    let nested = "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}{% endfor %}{% endfor %}{% endfor %}";
    assert!(refused(nested).contains("fuel"), "{}", refused(nested));
    assert!(refused("{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}").contains("recursion"));
    refused("{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}");
    let raw = format!(
        "{{% set t %}}{{% for a in range(99999) %}}{}{{% endfor %}}{{% endset %}}",
        "raw text ".repeat(2000)
    );
    assert!(refused(&raw).contains("bytes"));
    let written = format!("{{% for a in range(99999) %}}{}{{% endfor %}}", "raw text ".repeat(2000));
    assert!(refused(&written).contains("bytes"));
}

#[test]
fn a_template_reaches_no_other() {
    for source in [
        "{% include 'template' %}",
        "{% extends 'template' %}",
        "{% import 'template' as t %}",
        "{% include '/etc/passwd' %}",
    ] {
        assert!(refused(source).contains("reads no file"), "{source}: {}", refused(source));
    }
    refused("{{ debug() }}");
}

#[test]
fn a_template_too_long_to_compile_is_refused() {
    let long = "a".repeat(MAX_SOURCE_BYTES + 1);
    assert!(refused(&long).contains("at most"));
    for part in [" + 1", "|upper", ".a", "()", " ~ 'a'", " if x else y", " == 1"] {
        let chain = format!("{{{{ x{} }}}}", part.repeat(MAX_EXPRESSION_TOKENS));
        assert!(refused(&chain).contains("parts"), "{part}");
    }
    let deep = format!("{{{{ {}1{} }}}}", "[".repeat(900), "]".repeat(900));
    refused(&deep);
    let blocks = format!("{}{}", "{% if x %}".repeat(5000), "{% endif %}".repeat(5000));
    refused(&blocks);
}

#[test]
fn other_templates_render_as_before() {
    let long = "as it stands, whatever its length is. ".repeat(3);
    for (source, expected) in [
        ("{{ x ~ (1 + 2) }}", "abc3"),
        ("{{ [][::-1] }}{{ ''[::-1] }}{{ [][1:] }}{{ x[5::-1] }}{{ x[-9:2] }}{{ x[2:0:-1] }}", "[][]cbaabcb"),
        ("{{ x[9223372036854775807:] }}{{ x[::-9223372036854775807] }}{{ numbers[1:99] }}", "c[1, 2]"),
        ("{{ x + 'd' }}{{ 1 + 2 }}{{ [1] + [2] }}", "abcd3[1, 2]"),
        ("{{ 'ab' * 2 }}{{ 2 * 3 }}{{ ([1] * 2)|list }}", "abab6[1, 1]"),
        ("{{ x[1:] }}{{ x[::-1] }}{{ numbers[:2]|list }}", "bccba[3, 1]"),
        (
            "{{ 1 if 'b' in x }}{{ 2 if 'z' not in x }}{{ 3 if 1 < 2 <= 2 }}{{ 4 if x == 'abc' }}{{ 5 if x != 'abc' }}",
            "1234",
        ),
        ("{% set m = {'a': [1, x]} %}{{ m.a[1] }}{{ m['a']|length }}", "abc2"),
        (
            "{% for n in numbers|sort %}{{ loop.index }}:{{ n }}{% if not loop.last %},{% endif %}{% endfor %}",
            "1:1,2:2,3:3",
        ),
        (
            "{% for m in messages %}{% if m.role == 'user' %}{{ m.content|trim|tojson }}{% else %}{{ m['content'].upper() }}{% endif %}{% endfor %}",
            "\"Hi \\u003cthere\\u003e\"YES.",
        ),
        ("{{ missing|default('none') }}{{ 1 if missing is defined }}{{ (missing or x)|upper }}", "noneABC"),
        ("{% macro m(a, b=2) %}<{{ a }}{{ b }}>{% endmacro %}{{ m(1) }}{{ m(1, b='x') }}", "<12><1x>"),
        (
            "{% set n = namespace(i=0) %}{% for a in range(3) %}{% set n.i = n.i + a %}{% endfor %}{{ n.i }}",
            "3",
        ),
        (
            "{{ messages|selectattr('role', 'equalto', 'user')|map(attribute='content')|join(', ') }}",
            "Hi <there>",
        ),
        ("{{ x.replace('b', '--').split('-')|join('+') }}{{ 'a,b'.split(',')[-1] }}", "a++cb"),
        ("{% filter upper %}a{{ x }}{% endfilter %}{% set t %}b{{ x }}{% endset %}{{ t }}", "AABCbabc"),
        ("{% block b %}{{ x ~ x }}{% endblock %}", "abcabc"),
        ("{% if x and (1 or 0) %}{% for a in [] %}{% else %}none{% endfor %}{% endif %}", "none"),
        (&format!("{{% if x %}}{long}{{% else %}}{long}no{{% endif %}}{{{{ x }}}}"), &format!("{long}abc")),
        (&format!("{{% for a in range(2) %}}{long}{{% endfor %}}"), &long.repeat(2)),
    ] {
        assert_eq!(render(source).unwrap(), expected, "{source}");
    }
}

#[test]
fn lines_of_errors_are_those_of_the_template() {
    let error = refused("first\n{{ x ~ x }}\n{% if x %}\n{{ 1 / 'a' }}\n{% endif %}");
    assert!(error.contains(":4)"), "{error}");
}

#[test]
fn a_field_that_is_missing_is_an_error_where_it_is_asked_for_strictly() {
    for source in ["{{ y }}", "{{ x ~ y }}", "{{ y == 1 }}", "{{ 1 in y }}", "{{ y + 1 }}"] {
        let mut strict = environment();
        strict.set_undefined_behavior(UndefinedBehavior::Strict);
        assert!(Template::new(strict, source).unwrap().render(json!({"x": 1})).is_err(), "{source}");
    }
    let template = Template::new(environment(), "{{ x }}{{ y }}{% set z = 1 %}{{ z }}").unwrap();
    assert_eq!(template.names(), ["x", "y"]);
}

#[test]
fn a_long_chat_is_within_the_bounds() {
    let source = "{% set n = namespace(text='', users=0) %}{% for message in messages %}\
        {% if message.role == 'user' %}{% set n.users = n.users + 1 %}{% endif %}\
        {% if '</think>' in message.content %}{{ message.content.split('</think>')[-1] }}{% else %}\
        {{ '<|im_start|>' + message.role + '\n' + message.content|trim + '<|im_end|>\n' }}{% endif %}\
        {% set n.text = n.text ~ message.role %}{% endfor %}{{ n.users }}";
    let message = |index: usize| json!({"role": if index.is_multiple_of(2) { "user" } else { "assistant" }, "content": "word ".repeat(1000)});
    let messages: Vec<_> = (0..2000).map(message).collect();
    let text = Template::new(environment(), source).unwrap().render(json!({"messages": messages})).unwrap();
    assert!(text.ends_with("1000") && text.len() > 9_000_000, "{}", text.len());
}
