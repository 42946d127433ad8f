//! Rulesets in nested form, as `nft list ruleset` prints them and /etc/nftables.conf has them, as flat commands.

use std::collections::BTreeSet;
use std::ops::Range;

use super::words::split;
use crate::tool::Fault;

/// A command, and where in the text its words are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// The command, in one line.
    pub command: String,
    /// The bytes of the text that it comes from.
    pub span: Range<usize>,
    /// The line that they begin in, from 1.
    pub line: usize,
}

/// Whether a text has a table in nested form.
pub fn is_nested(text: &str) -> bool {
    let mut lines = text.lines().map(str::split_whitespace);
    lines.any(|mut words| words.next() == Some("table"))
}

/// The commands that make the ruleset: of each table itself, its chains, its sets and maps, whose elements may name chains, and its
/// rules. `flush ruleset` says nothing, as there is nothing before; so do comments, those of chains too.
///
/// # Errors
/// What is open at the end, and what is no part of a ruleset: an included file, a variable, something deleted.
pub fn flatten(text: &str) -> Result<Vec<Placed>, Fault> {
    let mut reader = Reader {
        text,
        tokens: tokens(text)?,
        at: 0,
        known: BTreeSet::new(),
        commands: Vec::new(),
    };
    while reader.skip_ends() {
        reader.top()?;
    }
    Ok(reader.commands)
}

/// A word or a sign as it stands in the text, or the end of a line.
#[derive(Debug, Clone)]
struct Token<'t> {
    /// With its quotes; nothing where a line ends.
    text: &'t str,
    span: Range<usize>,
    line: usize,
}

impl Token<'_> {
    /// Whether it ends what is said, where no brace is open.
    fn is_end(&self) -> bool {
        self.text.is_empty() || self.text == ";"
    }
}

fn tokens(text: &str) -> Result<Vec<Token<'_>>, Fault> {
    let (mut tokens, mut start) = (Vec::new(), 0);
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        let words = split(line).map_err(|quote| {
            let at = start + quote;
            Fault::at(text, at..at + 1, "this quote is never closed")
        })?;
        let mut goes_on = false;
        for word in words {
            let span = start + word.span.start..start + word.span.end;
            let token = Token {
                text: &text[span.clone()],
                span,
                line: number,
            };
            goes_on = token.text == "\\";
            if !goes_on {
                tokens.push(token);
            }
        }
        let end = start + line.trim_end().len();
        if !goes_on {
            tokens.push(Token {
                text: "",
                span: end..end,
                line: number,
            });
        }
        start += line.len();
    }
    Ok(tokens)
}

struct Reader<'t> {
    text: &'t str,
    tokens: Vec<Token<'t>>,
    at: usize,
    /// The tables and chains that there are: they may be opened again.
    known: BTreeSet<String>,
    commands: Vec<Placed>,
}

impl<'t> Reader<'t> {
    /// Goes on behind the ends; whether there is more.
    fn skip_ends(&mut self) -> bool {
        while self.tokens.get(self.at).is_some_and(Token::is_end) {
            self.at += 1;
        }
        self.at < self.tokens.len()
    }

    fn next(&mut self) -> Option<Token<'t>> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn is_next(&self, sign: &str) -> bool {
        self.tokens.get(self.at).is_some_and(|of| of.text == sign)
    }

    fn fault(&self, span: Range<usize>, message: &str) -> Fault {
        Fault::at(self.text, span, message)
    }

    /// What is said up to an end, or up to a brace that closes what stands around it.
    fn statement(&mut self) -> Vec<Token<'t>> {
        let (mut said, mut depth) = (Vec::new(), 0);
        while let Some(token) = self.tokens.get(self.at) {
            match token.text {
                "{" => depth += 1,
                "}" if depth == 0 => break,
                "}" => depth -= 1,
                _ if depth == 0 && token.is_end() => break,
                _ => {}
            }
            if !token.text.is_empty() {
                said.push(token.clone());
            }
            self.at += 1;
        }
        said
    }

    /// What is said in a block whose brace was opened, which is closed.
    fn block(&mut self, opened: &Token<'t>) -> Result<Vec<Vec<Token<'t>>>, Fault> {
        let mut said = Vec::new();
        loop {
            if !self.skip_ends() {
                return Err(self.fault(opened.span.clone(), "this brace is never closed"));
            }
            if self.is_next("}") {
                self.at += 1;
                return Ok(said);
            }
            said.push(self.statement());
        }
    }

    /// What is said before a block.
    fn header(&mut self) -> Vec<Token<'t>> {
        let mut said = Vec::new();
        while let Some(token) = self.tokens.get(self.at)
            && token.text != "{"
            && !token.is_end()
        {
            said.push(token.clone());
            self.at += 1;
        }
        said
    }

    /// The next token, which must open a block.
    fn open(&mut self, behind: &Token<'t>) -> Result<Token<'t>, Fault> {
        match self.next() {
            Some(token) if token.text == "{" => Ok(token),
            other => {
                let span = other.map_or(behind.span.clone(), |token| token.span);
                Err(self.fault(span, "`{` is missing here"))
            }
        }
    }

    fn keep(&mut self, command: String, tokens: &[Token<'t>]) {
        let (Some(first), Some(last)) = (tokens.first(), tokens.last()) else {
            return;
        };
        self.commands.push(Placed {
            command,
            span: first.span.start..last.span.end,
            line: first.line,
        });
    }

    fn top(&mut self) -> Result<(), Fault> {
        let first = self.tokens[self.at].clone();
        match first.text {
            "table" => self.table(),
            "add" => {
                let said = self.statement();
                self.keep(joined(&said), &said);
                Ok(())
            }
            "flush" => {
                let said = self.statement();
                match said.as_slice() {
                    [_, ruleset] if ruleset.text == "ruleset" => Ok(()),
                    _ => {
                        let span = first.span.start..said.last().map_or(0, |of| of.span.end);
                        let fault = self.fault(span, "only `flush ruleset` may be flushed here");
                        Err(fault.with_help("the ruleset is written where there is none"))
                    }
                }
            }
            "include" | "define" | "redefine" | "undefine" => {
                let message = format!("`{}` is not followed", first.text);
                let help = "write out what it stands for, as `nft list ruleset` prints it";
                Err(self.fault(first.span, &message).with_help(help))
            }
            "}" => Err(self.fault(first.span, "this brace closes none")),
            _ => {
                let fault = self.fault(first.span, "this is no part of a ruleset");
                Err(fault.with_help("`table FAMILY NAME { … }` is, and commands that add"))
            }
        }
    }

    fn table(&mut self) -> Result<(), Fault> {
        let named = self.header();
        let of_table = match named.as_slice() {
            [_, family, name] => format!("{} {}", family.text, name.text),
            // A table of no family is one of IPv4.
            [_, name] => format!("ip {}", name.text),
            _ => {
                let fault = self.fault(named[0].span.clone(), "this names no table");
                return Err(fault.with_help("write `table FAMILY NAME { … }`"));
            }
        };
        let opened = self.open(&named[named.len() - 1])?;
        let mut body = Body::default();
        while !self.closes(&opened)? {
            self.in_table(&of_table, &mut body)?;
        }
        if self.known.insert(of_table.clone()) {
            let options = in_braces(&body.options);
            self.keep(format!("add table {of_table}{options}"), &named);
        }
        for (command, tokens) in body.chains.into_iter().chain(body.sets).chain(body.rules) {
            self.keep(command, &tokens);
        }
        Ok(())
    }

    /// Whether a block ends here, which is then behind.
    fn closes(&mut self, opened: &Token<'t>) -> Result<bool, Fault> {
        if !self.skip_ends() {
            return Err(self.fault(opened.span.clone(), "this brace is never closed"));
        }
        let closes = self.is_next("}");
        self.at += usize::from(closes);
        Ok(closes)
    }

    /// A chain, a set or another object of a table, or an option of its own.
    fn in_table(&mut self, table: &str, body: &mut Body<'t>) -> Result<(), Fault> {
        let first = self.tokens[self.at].clone();
        if first.text == "chain" {
            return self.chain(table, body);
        }
        let is_option = ["flags", "comment"].contains(&first.text);
        if is_option {
            body.options.push(self.statement());
            return Ok(());
        }
        // `set NAME {`, `ct helper NAME {`.
        let named = self.header();
        let Some((name, kind)) = named.split_last() else {
            return Err(self.fault(first.span, "nothing is named before this brace"));
        };
        let opened = self.open(name)?;
        let said = self.block(&opened)?;
        let (kind, inside) = (joined(kind), in_braces(&said));
        let command = format!("add {kind} {table} {}{inside}", name.text);
        body.sets.push((command, named));
        Ok(())
    }

    fn chain(&mut self, table: &str, body: &mut Body<'t>) -> Result<(), Fault> {
        let word = self.tokens[self.at].clone();
        self.at += 1;
        let Some(name) = self.next().filter(|of| of.text != "{" && !of.is_end()) else {
            return Err(self.fault(word.span, "this names no chain"));
        };
        let opened = self.open(&name)?;
        let (mut hooked, mut rules) = (Vec::new(), Vec::new());
        while !self.closes(&opened)? {
            let said = self.statement();
            let first = said[0].text;
            let is_hook = first == "type" && said.iter().any(|of| of.text == "hook");
            let is_beside = ["policy", "device", "devices", "flags"].contains(&first);
            if is_hook || (is_beside && rules.is_empty()) {
                hooked.push(said);
            } else if first == "comment" && said.len() == 2 && rules.is_empty() {
                // What people read of the chain.
            } else {
                let command = format!("add rule {table} {} {}", name.text, joined(&said));
                rules.push((command, said));
            }
        }
        if self.known.insert(format!("{table} {}", name.text)) {
            let command = format!("add chain {table} {}{}", name.text, in_braces(&hooked));
            body.chains.push((command, vec![word, name]));
        }
        body.rules.extend(rules);
        Ok(())
    }
}

/// What a table holds, as commands with the words that they come from.
#[derive(Default)]
struct Body<'t> {
    options: Vec<Vec<Token<'t>>>,
    chains: Vec<(String, Vec<Token<'t>>)>,
    sets: Vec<(String, Vec<Token<'t>>)>,
    rules: Vec<(String, Vec<Token<'t>>)>,
}

fn joined(tokens: &[Token<'_>]) -> String {
    let words: Vec<&str> = tokens.iter().map(|token| token.text).collect();
    words.join(" ")
}

/// What is said, in braces; nothing where nothing is.
fn in_braces(said: &[Vec<Token<'_>>]) -> String {
    if said.is_empty() {
        return String::new();
    }
    let said = said.iter().map(|of| format!("{}; ", joined(of)));
    format!(" {{ {}}}", said.collect::<String>())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rstest::rstest;

    use super::*;

    const LISTED: &str = "\
#!/usr/sbin/nft -f
flush ruleset
table ip filter { # handle 2
	set trusted {
		type ipv4_addr
		flags interval
		elements = { 192.0.2.0/24,
			     198.51.100.1 }
	}

	map jumps {
		type inet_service : verdict
		elements = { 22 : jump ssh }
	}

	chain INPUT {
		comment \"of the host\"
		type filter hook input priority filter; policy drop;
		ip saddr @trusted counter packets 3 bytes 252 accept # handle 7
		tcp dport vmap @jumps
		log prefix \"a; b }\" drop
	}

	chain ssh {
		tcp dport { 22, 2222 } \\
			accept
	}
}
table inet own { flags dormant; chain c { accept; } }
table ip filter {
	chain INPUT {
		drop
	}
}
";

    #[test]
    fn a_listing_is_flat_commands_that_nft_takes_in_this_order() {
        let commands = flatten(LISTED).unwrap();
        let flat: Vec<&str> = commands.iter().map(|of| of.command.as_str()).collect();
        assert_eq!(
            flat,
            [
                "add table ip filter",
                "add chain ip filter INPUT { type filter hook input priority filter; policy drop; }",
                "add chain ip filter ssh",
                "add set ip filter trusted { type ipv4_addr; flags interval; elements = { 192.0.2.0/24 , 198.51.100.1 }; }",
                "add map ip filter jumps { type inet_service : verdict; elements = { 22 : jump ssh }; }",
                "add rule ip filter INPUT ip saddr @trusted counter packets 3 bytes 252 accept",
                "add rule ip filter INPUT tcp dport vmap @jumps",
                "add rule ip filter INPUT log prefix \"a; b }\" drop",
                "add rule ip filter ssh tcp dport { 22 , 2222 } accept",
                "add table inet own { flags dormant; }",
                "add chain inet own c",
                "add rule inet own c accept",
                "add rule ip filter INPUT drop",
            ]
        );
        let vmap = &commands[6];
        assert_eq!(
            (&LISTED[vmap.span.clone()], vmap.line),
            ("tcp dport vmap @jumps", 20)
        );
    }

    #[rstest]
    #[case::included("include \"a\"\ntable ip a {\n}\n", 1, 1, "`include` is not followed")]
    #[case::defined("define a = 1\ntable ip a {\n}\n", 1, 1, "`define` is not followed")]
    #[case::deleted("table ip a {\n}\ndelete table ip a\n", 3, 1, "no part of a ruleset")]
    #[case::flushed("flush table ip a\ntable ip a {\n}\n", 1, 1, "only `flush ruleset`")]
    #[case::never_closed("table ip a {\n\tchain b {\n", 2, 10, "never closed")]
    #[case::closed_twice("table ip a {\n}\n}\n", 3, 1, "closes none")]
    #[case::open_quote(
        "table ip a {\n\tchain b {\n\t\tlog prefix \"a\n",
        3,
        14,
        "quote is never closed"
    )]
    #[case::no_name("table {\n}\n", 1, 1, "names no table")]
    #[case::brace_of_nothing("table ip a {\n\t{ }\n}\n", 2, 2, "nothing is named")]
    #[case::no_block("table ip a\n", 1, 11, "`{` is missing")]
    fn what_is_no_ruleset_is_refused_with_its_place(
        #[case] text: &str,
        #[case] line: usize,
        #[case] column: usize,
        #[case] said: &str,
    ) {
        let fault = flatten(text).unwrap_err();
        assert_eq!((fault.line, fault.column), (line, column), "{fault}");
        assert!(fault.message.contains(said), "{fault}");
    }
}
