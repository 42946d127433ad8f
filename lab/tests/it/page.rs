//! The page in a real browser: it loads, filters, opens cells by click, by keyboard and by address, and complains of
//! nothing. What it looks like is kept in the target directory.

use std::path::{Path, PathBuf};

use iptables_lab::cause::KnownCauses;
use iptables_lab::judge::Cell;
use iptables_lab::matrix::Matrix;
use iptables_lab::report::transcripts::Transcripts;
use rstest::rstest;

use super::browser::Browser;
use super::lab::{both, folder, full_run, iptables_lab, small_run};

/// The page of a recording.
fn page_of(recording: &Path, name: &str) -> PathBuf {
    let page = folder("pages").join(format!("{name}.html"));
    let output = iptables_lab()
        .arg("replay")
        .arg(recording)
        .args(["--format", "html", "--output"])
        .arg(&page)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", both(&output));
    page
}

/// A cell of the small run that loses the mark: its address.
fn lossy() -> String {
    let run = small_run();
    format!("{}/{}/kube-firewall", run.writer, run.reader)
}

fn select(browser: &mut Browser, id: &str, value: &str) {
    let (id, value) = (serde_json::Value::from(id), serde_json::Value::from(value));
    browser.evaluate(&format!(
        "(() => {{ const e = document.getElementById({id}); e.value = {value};
         e.dispatchEvent(new Event('input', {{ bubbles: true }})); }})()"
    ));
}

const OPEN: &str = "!document.getElementById('cell').hidden";
const SHUT: &str = "document.getElementById('cell').hidden";
const PANEL: &str = "document.getElementById('cell').innerText";
const COUNT: &str = "document.getElementById('count').textContent";

#[test]
fn the_page_loads_and_filters() {
    needs!(Engine, Chromium);
    let page = page_of(&small_run().file, "small");
    let mut browser = Browser::open(1400, 1000);
    browser.go(&page, "");
    assert_eq!(browser.text(COUNT), "32 of 32 cells, 1 of 1 scenarios");
    select(&mut browser, "by-verdict", "lossy");
    assert_eq!(browser.text(COUNT), "6 of 32 cells, 1 of 1 scenarios");
    let dim = browser.text("document.querySelectorAll('td.dim').length");
    assert_eq!(dim, "13");
    select(&mut browser, "by-verdict", "");
    select(&mut browser, "by-operation", "check");
    select(&mut browser, "by-verdict", "not-found");
    let found: u64 = browser
        .text(COUNT)
        .split(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..32).contains(&found), "{found}");
    select(&mut browser, "by-backend", "legacy nft");
    assert_eq!(browser.text(COUNT), "0 of 32 cells, 0 of 1 scenarios");
    browser.click("button[type=reset]");
    browser.until("document.getElementById('count').textContent.startsWith('32 of 32')");
    select(&mut browser, "by-scenario", "nothing is called so");
    assert_eq!(browser.text(COUNT), "0 of 32 cells, 0 of 1 scenarios");
    assert_eq!(browser.complaints, [""; 0]);
}

#[test]
fn a_cell_opens_by_click_and_says_everything() {
    needs!(Engine, Chromium);
    let page = page_of(&small_run().file, "click");
    let mut browser = Browser::open(1500, 1100);
    browser.media("screen", "light");
    browser.go(&page, "");
    browser.click(&format!("[id='{}']", lossy()));
    browser.until(OPEN);
    let said = browser.text(PANEL);
    for words in [
        "lossy: printed differently, and not kept",
        "blackhole: packets that the rules let through are dropped",
        "-m mark --mark 0x8000/0x8000",
        "as the reader prints it",
        "ping-localhost",
        "after rewrite: dropped",
        "What both print of the same rules in the kernel",
        "docker exec -i lab-debian-1.8.7-1 iptables-nft-restore",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let lost = browser.text("document.querySelector('#cell del').textContent.trim()");
    assert_eq!(lost, "-m mark --mark 0x8000/0x8000");
    let address = browser.text("decodeURIComponent(location.hash)");
    assert_eq!(address, format!("#{}", lossy()));
    browser.screenshot(&folder("pages").join("cell-light.png"));
    browser.click("#cell .bar button[aria-pressed=false]");
    browser.until("document.querySelector('#cell .title').textContent.endsWith('ipv6')");
    let address = browser.text("decodeURIComponent(location.hash)");
    assert_eq!(address, format!("#{}/ipv6", lossy()));
    browser.click("#cell .close");
    browser.until(SHUT);
    assert_eq!(browser.complaints, [""; 0]);
}

#[test]
fn a_cell_opens_by_keyboard() {
    needs!(Engine, Chromium);
    let page = page_of(&small_run().file, "keyboard");
    let mut browser = Browser::open(1400, 1000);
    browser.go(&page, "");
    // The first cell of a map can be reached with Tab; its place among all that can is not this test's concern.
    browser.evaluate("document.querySelector('td[tabindex=\"0\"]').focus()");
    browser.press("ArrowDown", 40);
    browser.press("ArrowRight", 39);
    browser.press("ArrowLeft", 37);
    let first = browser.text("document.querySelectorAll('tbody tr')[1].cells[1].id");
    assert_eq!(browser.text("document.activeElement.id"), first);
    browser.press("Enter", 13);
    browser.until(OPEN);
    assert!(browser.text(PANEL).contains("lossy"));
    browser.press("Escape", 27);
    browser.until(SHUT);
    assert_eq!(browser.text("document.activeElement.id"), first);
    assert_eq!(browser.complaints, [""; 0]);
}

#[rstest]
#[case("", "ipv4")]
#[case("/ipv4", "ipv4")]
#[case("/ipv6", "ipv6")]
fn a_cell_opens_by_address(#[case] suffix: &str, #[case] family: &str) {
    needs!(Engine, Chromium);
    let page = page_of(
        &small_run().file,
        &format!("address{}", suffix.replace('/', "-")),
    );
    let mut browser = Browser::open(1400, 1000);
    browser.go(&page, &format!("#{}{suffix}", lossy()));
    browser.until(OPEN);
    let title = browser.text("document.querySelector('#cell .title').textContent");
    assert_eq!(title, format!("kube-firewall, {family}"));
    let focus = browser.text("document.activeElement.id");
    assert_eq!(focus, lossy());
    // A link within the page goes there too.
    browser.evaluate("location.hash = '#no/such/cell'");
    browser.evaluate("document.querySelector('.cause .go a').click()");
    browser.until(OPEN);
    assert_eq!(browser.complaints, [""; 0]);
}

/// A page of a recording in the repository.
fn page_of_mark(name: &str) -> PathBuf {
    let recordings = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/recordings");
    page_of(&recordings.join("kube-firewall-by-1.8.9.jsonl"), name)
}

#[test]
fn a_cause_opens_by_its_address_and_leads_to_cells_and_back() {
    needs!(Chromium);
    let page = page_of_mark("cause");
    let mut browser = Browser::open(1400, 1000);
    browser.go(&page, "#cause-native-mark");
    browser.until("document.getElementById('cause-native-mark').open");
    let said = browser.text("document.getElementById('cause-native-mark').innerText");
    for words in [
        "blackhole (predicted)",
        "-m mark --mark 0x8000/0x8000",
        "meta mark; bitwise; cmp",
        "match mark rev ?",
        "fewest rules: kube-firewall, 4 rules",
        "94309632a130, 2022-05-02: nft: native mark matching support",
        "https://github.com/kubernetes/kubernetes/issues/112477",
        "ship 1.8.8 or newer wherever one of the tools on a node is 1.8.8 or newer",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    browser.screenshot(&folder("pages").join("cause.png"));
    browser.click("#cause-native-mark .go a");
    browser.until(OPEN);
    browser.evaluate("document.querySelector('#cell .because a').click()");
    browser.until(SHUT);
    assert_eq!(browser.text("location.hash"), "#cause-native-mark");
    // Of what other runs showed it says when that was.
    browser.evaluate("location.hash = '#cause-two-backends'");
    browser.until("document.querySelector('.unseen').open");
    let said = browser.text("document.getElementById('cause-two-backends').innerText");
    assert!(said.contains("(seen on 20"), "{said}");
    assert_eq!(browser.complaints, [""; 0]);
}

/// Whoever has scripts off opens causes, too, and is not led to cells that do not open.
#[test]
fn without_scripts_causes_open() {
    needs!(Chromium);
    let page = page_of_mark("cause-without-scripts");
    let mut browser = Browser::open(1400, 1000);
    browser.without_scripts();
    browser.go(&page, "");
    browser.click("#cause-native-mark summary");
    browser.until("document.getElementById('cause-native-mark').open");
    let shown = "getComputedStyle(document.querySelector('#cause-native-mark .go')).display";
    assert_eq!(browser.text(shown), "none");
    let said = browser.text("document.querySelector('noscript').innerText");
    assert!(said.contains("Scripts are off"), "{said}");
    assert_eq!(browser.complaints, [""; 0]);
}

/// In a narrow window nothing of a cause is cut off, and the page does not scroll sideways.
#[test]
fn causes_fit_narrow_windows() {
    needs!(Chromium);
    let page = page_of_mark("cause-narrow");
    let mut browser = Browser::open(390, 844);
    for scheme in ["light", "dark"] {
        browser.media("screen", scheme);
        browser.go(&page, "#cause-native-mark");
        browser.until("document.getElementById('cause-native-mark').open");
        browser.screenshot(&folder("pages").join(format!("cause-narrow-{scheme}.png")));
        let wider = browser.evaluate("document.documentElement.scrollWidth > innerWidth");
        assert_eq!(
            wider,
            serde_json::Value::Bool(false),
            "the page scrolls sideways"
        );
    }
}

#[test]
fn the_page_looks_as_it_is_kept() {
    needs!(Engine, Chromium);
    let page = page_of(&small_run().file, "look");
    let mut browser = Browser::open(1400, 2400);
    let kept = folder("pages");
    for scheme in ["light", "dark"] {
        browser.media("screen", scheme);
        browser.go(&page, "");
        browser.screenshot(&kept.join(format!("page-{scheme}.png")));
    }
    let dark = browser.text("getComputedStyle(document.body).backgroundColor");
    assert_eq!(dark, "rgb(20, 23, 27)");
    browser.media("print", "light");
    browser.screenshot(&kept.join("page-print.png"));
    let filters = browser.text("getComputedStyle(document.getElementById('filters')).display");
    assert_eq!(filters, "none");
    browser.media("screen", "light");
    browser.resize(390, 844);
    browser.go(&page, &format!("#{}", lossy()));
    browser.until(OPEN);
    browser.screenshot(&kept.join("cell-narrow.png"));
    let wider = browser.evaluate("document.documentElement.scrollWidth > innerWidth");
    assert_eq!(
        wider,
        serde_json::Value::Bool(false),
        "the page scrolls sideways"
    );
    assert_eq!(browser.complaints, [""; 0]);
}

/// Signs tell the verdicts apart where colours do not, and without JavaScript the maps and losses are there.
#[test]
fn without_javascript_maps_and_losses_are_in_the_markup() {
    needs!(Engine);
    let page = std::fs::read_to_string(page_of(&small_run().file, "markup")).unwrap();
    for words in [
        "<td class=silent>X",
        "<details class=\"cause\" id=\"cause-native-mark\">",
        "<del>-m mark --mark 0x8000/0x8000 </del>",
        "lossy: match mark lost; iptables-nft ",
        "cannot ping localhost",
        "witnesses: ",
    ] {
        assert!(page.contains(words), "{words}");
    }
}

/// A run that was cut short before `due` read what `writer` wrote, in a scenario where no build meets itself.
struct WithAbsences {
    matrix: Matrix,
    writer: String,
    due: String,
}

impl WithAbsences {
    fn new() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/recordings");
        let file = folder.join("kube-firewall-by-1.8.9.jsonl");
        let mut matrix = Matrix::of(&iptables_lab::recording::read(&file).unwrap().recording);
        let first = matrix.cells[0].writer.clone();
        let readers = matrix.readers().into_iter().map(|build| build.id.clone());
        let mut others = readers
            .filter(|id| *id != first)
            .collect::<Vec<_>>()
            .into_iter();
        let (writer, due) = (others.next().unwrap(), others.next().unwrap());
        let mut cells = matrix.cells.clone();
        for cell in &mut cells {
            cell.writer = writer.clone();
        }
        matrix.cells.extend(cells);
        matrix.cells.retain(|cell| {
            cell.writer != cell.reader && !(cell.writer == writer && cell.reader == due)
        });
        let pairings = serde_json::json!({ "other": ["build"] });
        matrix.scenarios[0].pairings = Some(serde_json::from_value(pairings).unwrap());
        matrix.cut_short = Some("the run was killed".to_owned());
        WithAbsences {
            matrix,
            writer: writer.to_string(),
            due: due.to_string(),
        }
    }
}

#[test]
fn what_was_not_run_looks_otherwise_than_what_is_not_the_scenarios() {
    needs!(Engine, Chromium);
    let WithAbsences {
        matrix,
        writer,
        due,
    } = WithAbsences::new();
    let table = iptables_lab::report::table::render(&matrix, 120);
    let table = anstream::adapter::strip_str(&table).to_string();
    let words = |line: &str| {
        line.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let lines: Vec<Vec<String>> = table.lines().map(words).collect();
    let row = lines
        .iter()
        .find(|line| line.contains(&writer) && line.len() > 3);
    let readers: Vec<&str> = matrix.readers().iter().map(|of| of.id.as_str()).collect();
    let signs: Vec<&String> = row
        .unwrap()
        .iter()
        .rev()
        .take(readers.len())
        .rev()
        .collect();
    for (reader, sign) in readers.iter().zip(signs) {
        let is_sign = |of: &str| sign == of;
        assert_eq!(is_sign("_"), *reader == due, "{reader}: {table}");
        assert_eq!(is_sign("/"), *reader == writer, "{reader}: {table}");
    }
    for legend in [
        "_ not run the run was cut short",
        "/ not in the scenario the scenario's system",
    ] {
        let is_there = lines.iter().any(|line| line.join(" ").starts_with(legend));
        assert!(is_there, "{legend}: {table}");
    }
    let page = iptables_lab::report::html::render(
        &matrix,
        &Transcripts::default(),
        KnownCauses::built_in(),
    )
    .unwrap();
    assert!(page.contains("<td class=due>"), "one class, and no text");
    let file = folder("pages").join("absent.html");
    std::fs::write(&file, page).unwrap();
    let mut browser = Browser::open(1400, 1000);
    browser.go(&file, "");
    let sign = |browser: &mut Browser, selector: &str| {
        browser.text(&format!(
            "getComputedStyle(document.querySelector('{selector}'), '::after').content"
        ))
    };
    for (class, of, name) in [("due", "_", "not run"), ("no", "/", "not in the scenario")] {
        let of = format!("\"{of}\"");
        assert_eq!(sign(&mut browser, &format!("td.{class}")), of);
        assert_eq!(sign(&mut browser, &format!(".signs .{class}")), of);
        let legend = browser.text(&format!(
            "document.querySelector('.signs .{class}').parentElement.textContent.trim()"
        ));
        assert_eq!(legend, name);
    }
    // A cell of which an operation says nothing is neither of both.
    select(&mut browser, "by-operation", "reassert");
    let blank = browser.text("document.querySelectorAll('td.blank').length");
    assert_ne!(blank, "0");
    assert_eq!(sign(&mut browser, "td.blank"), "none");
    browser.screenshot(&folder("pages").join("absent.png"));
    assert_eq!(browser.complaints, [""; 0]);
}

/// The page of a run that is as wide as five scenarios: what a cell adds to it, and how long it takes to open.
#[test]
fn a_page_of_400_pairings_in_60_scenarios_would_stay_small() {
    needs!(Native, Chromium);
    let run = full_run();
    let mut transcripts = Transcripts::default();
    for load in &run.recording().loads {
        let of_load = |cell: &&Cell| {
            let is_reader = load.readers.iter().any(|reader| reader.id == cell.reader);
            cell.scenario == load.scenario
                && cell.family == load.family
                && cell.writer == load.writer
                && is_reader
        };
        let cells: Vec<Cell> = run.matrix().cells.iter().filter(of_load).cloned().collect();
        let mut scenarios = run.recording().head.scenarios.iter();
        let scenario = scenarios.find(|scenario| scenario.name == load.scenario);
        transcripts.add(load, scenario.unwrap(), &cells);
    }
    let render = |matrix: &Matrix| {
        iptables_lab::report::html::render(matrix, &transcripts, KnownCauses::built_in()).unwrap()
    };
    let page = render(run.matrix());
    let mut empty = run.matrix().clone();
    empty.cells.clear();
    empty.scenarios.clear();
    let fixed = render(&empty).len();
    let of_cells = page.len() - fixed;
    let all = fixed + of_cells * 24_000 / run.matrix().cells.len();
    let said = format!(
        "{} cells: {of_cells} bytes; 24000 would be {all}",
        run.matrix().cells.len()
    );
    // 5.34 MB on 30 November 2026; it was under 5 before each operation had a verdict about each rule.
    assert!(all < 5_500_000, "{said}");
    let file = folder("pages").join("full.html");
    std::fs::write(&file, &page).unwrap();
    let mut browser = Browser::open(1500, 1400);
    browser.go(&file, "");
    browser.until("performance.getEntriesByType('navigation')[0].loadEventEnd > 0");
    let took = browser.text("performance.getEntriesByType('navigation')[0].loadEventEnd");
    let took: f64 = took.parse().unwrap();
    assert!(took < 10_000.0, "it took {took} ms to open; {said}");
    browser.screenshot(&folder("pages").join("full.png"));
    assert_eq!(browser.complaints, [""; 0]);
}

#[test]
fn a_rule_that_is_known_says_so_in_its_cell() {
    needs!(Chromium);
    let folder = tempfile::tempdir().unwrap();
    let (known, page) = (
        folder.path().join("known.toml"),
        folder.path().join("page.html"),
    );
    let entry = "[[known]]\nscenario = 'docker'\nwriters = ['*']\nreaders = ['*']\n\
                 url = 'https://example.org/1'\nreason = 'waited for'\nrules = ['DOCKER 1']\n";
    std::fs::write(&known, entry).unwrap();
    let words = ["replay", "--format", "html", "--output"];
    let recording = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/recordings");
    let mut command = iptables_lab();
    command.args(words).arg(&page).arg("--known").arg(&known);
    let output = command
        .arg(recording.join("docker-by-1.8.10.jsonl"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", both(&output));
    let mut browser = Browser::open(1400, 1000);
    browser.go(&page, "");
    browser.click("td.silent");
    browser.until("!document.getElementById('cell').hidden");
    let said = "[...document.querySelectorAll('#cell h4')].filter((of) => of.nextElementSibling.textContent \
                === 'Known: waited for (https://example.org/1)').map((of) => of.textContent).join()";
    assert_eq!(browser.text(said), "filter DOCKER 1");
    assert_eq!(browser.complaints, [""; 0]);
}
