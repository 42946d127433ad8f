"use strict";
// Filters the heat maps, opens causes and cells. All text gets into the page as text, never as markup.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const panel = document.getElementById("cell");
  const filters = document.getElementById("filters");
  const scenarios = [...document.querySelectorAll(".scenario")];
  const tables = [...document.querySelectorAll(".map table")];
  document.documentElement.classList.add("script");
  filters.hidden = false;
  for (const hint of document.querySelectorAll(".with-script")) hint.hidden = false;

  // An element with attributes and children; a child that is a string becomes text.
  const make = (name, attributes = {}, ...children) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
      else if (value !== null && value !== undefined) element.setAttribute(key, value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  };

  // The maps: for each square its row, column, writer and reader. Its address is WRITER/READER/SCENARIO, with the map's first family
  // where the scenario has several maps.
  const squares = new Map();
  tables.forEach((table, number) => {
    const readers = [...table.tHead.rows[0].cells].slice(1).map((cell) => cell.textContent);
    const rows = [...table.tBodies[0].rows];
    const scenario = table.closest(".scenario");
    const isOnly = scenario.querySelectorAll("table").length === 1;
    const of = scenario.dataset.scenario + (isOnly ? "" : "/" + table.dataset.families.split(" and ")[0]);
    table.setAttribute("role", "grid");
    rows.forEach((row, at) => {
      const writer = row.cells[0].textContent.trim();
      [...row.cells].slice(1).forEach((square, to) => {
        if (square.classList.contains("due") || square.classList.contains("no")) return;
        square.id = `${writer}/${readers[to]}/${of}`;
        squares.set(square, { number, at, to, writer, reader: readers[to] });
        square.tabIndex = -1;
      });
    });
    const first = table.querySelector("td[id]");
    if (first) first.tabIndex = 0;
  });

  // What the operation that is chosen came to in a square: the same in all its families where the whole cell is meant.
  const outcome = (of, operation, family) => {
    const places = data.maps[of.number];
    const families = family && places[family] ? [family] : Object.keys(places);
    const found = families
      .map((name) => data.profiles[places[name][of.at][of.to]][operation])
      .filter((name) => name !== undefined);
    const tones = ["fine", "note", "aside", "loud", "later", "silent"];
    const weight = (name) => tones.indexOf(data.verdicts[name][1]);
    return found.sort((one, other) => weight(other) - weight(one))[0];
  };

  const value = (id) => document.getElementById(id).value;
  const filter = () => {
    const [name, family, backend] = [value("by-scenario").trim().toLowerCase(), value("by-family"), value("by-backend")];
    const [operation, wanted] = [value("by-operation"), value("by-verdict")];
    const [writers, readers] = backend.split(" ");
    const wants = (verdict) => {
      if (!wanted) return true;
      if (verdict === undefined) return false;
      const tone = data.verdicts[verdict][1];
      if (wanted === "harm") return tone !== "fine";
      return wanted === "tone:" + tone || wanted === verdict;
    };
    let [shown, all, there] = [0, 0, 0];
    for (const scenario of scenarios) {
      let any = false;
      const isNamed = scenario.dataset.scenario.toLowerCase().includes(name);
      for (const table of scenario.querySelectorAll("table")) {
        const map = table.parentElement;
        const isOfFamily = !family || table.dataset.families.split(" and ").includes(family);
        const isOut = (id, side) => side && data.backends[id] !== side;
        [...table.tHead.rows[0].cells].slice(1).forEach((head) =>
          head.classList.toggle("out", Boolean(isOut(head.textContent, readers))));
        let inMap = 0;
        for (const row of table.tBodies[0].rows) {
          row.classList.toggle("out", Boolean(isOut(row.cells[0].textContent.trim(), writers)));
          for (const square of row.cells) {
            const of = squares.get(square);
            const column = square.cellIndex - 1;
            if (column >= 0) square.classList.toggle("out", table.tHead.rows[0].cells[column + 1].classList.contains("out"));
            if (!of) continue;
            const families = Object.keys(data.maps[of.number]).length;
            const count = family ? 1 : families;
            all += families;
            const verdict = outcome(of, operation, family);
            const [sign, tone] = verdict === undefined ? [" ", "blank"] : data.verdicts[verdict];
            if (square.textContent !== sign) square.textContent = sign;
            const isIn = wants(verdict);
            const open = square.classList.contains("open") ? " open" : "";
            const out = square.classList.contains("out") ? " out" : "";
            square.className = tone + (isIn ? "" : " dim") + open + out;
            if (isNamed && isOfFamily && isIn && !out && !row.classList.contains("out")) inMap += count;
          }
        }
        map.classList.toggle("out", !isOfFamily);
        shown += inMap;
        any = any || inMap > 0;
      }
      const isIn = isNamed && (any || (!wanted && !family && !backend));
      scenario.classList.toggle("out", !isIn);
      there += isIn ? 1 : 0;
    }
    document.getElementById("count").textContent =
      `${shown} of ${all} cells, ${there} of ${scenarios.length} scenarios`;
  };
  const verdicts = document.getElementById("by-verdict");
  const offered = new Set([...verdicts.options].map((option) => option.value));
  for (const name of Object.keys(data.verdicts)) {
    const isUsed = data.profiles.some((profile) => Object.values(profile).includes(name));
    if (isUsed && !offered.has(name)) verdicts.append(make("option", { value: name }, data.verdicts[name][0] + " " + name));
  }
  filters.addEventListener("input", filter);
  filters.addEventListener("submit", (event) => event.preventDefault());
  filters.addEventListener("reset", () => setTimeout(filter));
  filter();

  // The details of a scenario's cells: unpacked when one of them is opened.
  const blocks = new Map();
  const block = async (scenario) => {
    if (!blocks.has(scenario)) {
      const packed = atob(scenario.querySelector("script.block").textContent);
      const bytes = Uint8Array.from(packed, (char) => char.charCodeAt(0));
      const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
      blocks.set(scenario, new Response(stream).json().then(unpacked));
    }
    return blocks.get(scenario);
  };

  // What a column refers to in a list: 0 is the place behind the farthest so far, another number that place and one, -1 nothing.
  const from = (list) => (column) => {
    let next = 0;
    const one = (of) => {
      if (Array.isArray(of)) return of.map(one);
      if (of < 0) return null;
      if (of === 0) return list[next++];
      next = Math.max(next, of);
      return list[of - 1];
    };
    return column.map(one);
  };
  // Columns by name as a list of things.
  const things = (columns) => {
    const names = Object.keys(columns);
    return columns[names[0]].map((_, at) => Object.fromEntries(names.map((name) => [name, columns[name][at]])));
  };
  const pairs = (flat) => flat.flatMap((one, at) => (at % 2 ? [] : [[one, flat[at + 1]]]));
  const unpacked = (all) => {
    const texts = from(all.texts);
    const facts = ({ name, said, verdict }) =>
      things({ name: texts(name), said: texts(said), verdict: texts(verdict) }).map((of) => [of.name, of.said, of.verdict]);
    const pieces = texts(all.pieces).map((lines) => lines.join("\n"));
    const commands = from(pieces)(all.commands);
    const two = things({ written: texts(all.pairs.written), other: texts(all.pairs.other), label: texts(all.pairs.label) });
    const rules = things({
      place: texts(all.rules.place),
      pair: from(two)(all.rules.pair),
      texts: from(from(facts(all.printed))(all.texts_of_rules))(all.rules.texts),
      facts: from(from(facts(all.known))(all.facts_of_rules))(all.rules.facts),
      known: texts(all.rules.known),
      causes: texts(all.rules.causes),
    });
    const packets = things({ name: texts(all.packets.name), facts: all.packets.facts.map(facts), worst: texts(all.packets.worst) });
    const lines = texts(all.prints.map((print) => print.lines));
    const prints = all.prints.map((print, at) => {
      const [alike, rest] = [[...print.alike], [...lines[at]]];
      return [...print.kinds].map((kind) => [kind, kind === "a" ? alike.shift() : rest.shift()]);
    });
    const cells = things({
      verdict: texts(all.cells.verdict),
      rules: from(from(rules)(all.rules_of_cells))(all.cells.rules),
      unharmed: all.cells.unharmed,
      all: all.cells.all,
      packets: from(from(packets)(all.packets_of_cells))(all.cells.packets),
      warnings: from(texts(all.warnings).map(pairs))(all.cells.warnings),
      picked: texts(all.cells.picked),
      known: texts(all.cells.known),
      crashes: texts(all.cells.crashes).map(pairs),
      prints: from(prints)(all.cells.prints),
      commands: from(commands)(all.cells.commands),
    });
    const maps = Object.entries(all.of).map(([family, of]) =>
      [family, { cell: from(cells)(of.cell), witness: from(all.witnesses)(of.witness) }]);
    return Object.fromEntries(maps);
  };

  const word = (verdict) =>
    make("span", { class: "word " + data.verdicts[verdict][1] }, data.verdicts[verdict][0] + " " + verdict);
  // By turns what both texts have and what only this one has.
  const marked = (pieces, mark) =>
    make("code", {}, ...pieces.map((piece, at) => at % 2 ? make(mark, {}, piece) : piece));
  const known = (facts) =>
    make("dl", { class: "known" }, ...facts.flatMap(([name, said, verdict]) => [
      make("dt", {}, name),
      verdict ? make("dd", {}, word(verdict), " " + data.verdicts[verdict][2]) : make("dd", {}, said),
    ]));
  const copy = (label, text) => make("button", {
    type: "button",
    onclick: async (event) => {
      const button = event.currentTarget;
      try {
        await navigator.clipboard.writeText(text);
        button.textContent = "Copied";
      } catch {
        button.textContent = "Select it and copy by hand";
      }
      setTimeout(() => { button.textContent = label; }, 2000);
    },
  }, label);

  const rule = (detail) => {
    const part = [make("h4", {}, detail.place)];
    if (detail.known) part.push(make("p", {}, "Known: " + detail.known));
    if (detail.causes.length) {
      const links = detail.causes.flatMap((name) => [" ", make("a", { href: "#cause-" + encodeURIComponent(name) }, name)]);
      part.push(make("p", { class: "because" }, "Cause:", ...links));
    }
    if (detail.pair) {
      part.push(make("div", { class: "pair" },
        make("div", {}, make("b", {}, "as it was written"), marked(detail.pair.written, "del")),
        make("div", {}, make("b", {}, detail.pair.label), marked(detail.pair.other, "ins"))));
    }
    part.push(known(detail.facts));
    if (detail.texts.length) {
      part.push(make("details", {}, make("summary", {}, "As each build prints it"), known(detail.texts)));
    }
    return part;
  };

  const packets = (details) => {
    const names = [];
    for (const detail of details)
      for (const [name] of detail.facts) if (!names.includes(name)) names.push(name);
    const cells = (detail) => {
      const said = new Map(detail.facts.map(([name, text]) => [name, text]));
      return make("td", {}, ...names.filter((name) => said.has(name)).flatMap((name) => {
        const isBad = name.startsWith("after ") && name !== "after the write" && said.get(name) !== "as before";
        return [make("span", { class: isBad ? "bad" : null }, `${name}: ${said.get(name)}`), make("br")];
      }));
    };
    return make("table", { class: "packets" }, make("tbody", {}, ...details.map((detail) =>
      make("tr", {}, make("th", { scope: "row" }, (detail.worst === "as-before" ? "" : "* ") + detail.name), cells(detail)))));
  };

  const prints = (rows, writer, reader) => {
    const both = (left, right) => [make("div", {}, left), make("div", {}, right)];
    const side = ([kind, said]) => {
      switch (kind) {
        case "a": return [make("div", { class: "alike" }, `${said} lines alike`)];
        case "b": return both(said, said);
        case "c": return both(marked(said[0], "del"), marked(said[1], "ins"));
        case "w": return both(make("del", {}, said), "");
        default: return both("", make("ins", {}, said));
      }
    };
    return make("div", { class: "prints" },
      make("div", { class: "head" }, `${writer} prints`), make("div", { class: "head" }, `${reader} prints`),
      ...rows.flatMap(side));
  };

  // The commands, with images in the place of what stands for them.
  const script = (text, writer, reader, witness) => {
    const images = [data.images[writer], data.images[reader], witness || ""];
    return text.replace(/[\ue000-\ue002]/g, (stand) => images[stand.charCodeAt(0) - 0xe000]);
  };

  const title = document.title;
  let [opened, cameFrom, turn] = [null, null, 0];
  const shut = () => {
    if (!opened) return;
    opened.classList.remove("open");
    opened = null;
    panel.hidden = true;
    document.body.classList.remove("opened");
    document.title = title;
    history.replaceState(null, "", location.pathname + location.search);
    if (cameFrom) cameFrom.focus();
  };

  const open = async (square, family) => {
    const mine = ++turn;
    const of = squares.get(square);
    const scenario = square.closest(".scenario");
    const name = scenario.dataset.scenario;
    const all = await block(scenario);
    if (mine !== turn) return;
    const key = `${of.writer}/${of.reader}`;
    const families = Object.keys(data.maps[of.number]).filter((family) => all[family].cell[of.at][of.to]);
    const chosen = families.includes(family) ? family : families[0];
    const detail = all[chosen].cell[of.at][of.to];
    const witness = all[chosen].witness[of.at][of.to];
    if (opened) opened.classList.remove("open");
    opened = cameFrom = square;
    square.classList.add("open");
    const address = chosen === families[0] && !family ? square.id : `${key}/${name}/${chosen}`;
    history.replaceState(null, "", "#" + address.split("/").map(encodeURIComponent).join("/"));
    document.title = `${of.writer} → ${of.reader}, ${name}`;
    const text = detail.commands === null ? null : script(detail.commands.join(""), of.writer, of.reader, witness);
    const parts = [
      make("button", { type: "button", class: "close", onclick: shut, "aria-label": "Close" }, "✕"),
      make("h2", {}, `${of.writer} → ${of.reader}`),
      make("p", { class: "title" }, `${name}, ${chosen}`),
      make("div", { class: "bar" },
        ...(families.length > 1 ? families.map((each) => make("button", {
          type: "button", "aria-pressed": String(each === chosen), onclick: () => open(square, each),
        }, each)) : []),
        copy("Copy address", location.href)),
      make("p", { class: "verdict" },
        make("span", { class: "s " + data.verdicts[detail.verdict][1] }, data.verdicts[detail.verdict][0]),
        `${detail.verdict}: ${data.verdicts[detail.verdict][2]}`),
    ];
    const facts = detail.rules.flatMap((each) => each.facts);
    const consequences = facts.filter(([name]) => name === "consequence").map(([, said]) => said);
    const predicted = facts.filter(([name]) => name === "predicted").map(([, said]) => said);
    if (consequences.length) {
      parts.push(make("p", { class: "consequence" }, [...new Set(consequences)].join("; ")));
    } else if (predicted.length) {
      parts.push(make("p", {}, "Predicted: " + [...new Set(predicted)].join("; ")));
    }
    if (detail.known) parts.push(make("p", {}, "Known: " + detail.known));
    for (const [died, rules] of detail.crashes) {
      parts.push(make("h3", {}, died + ". The fewest rules that cause it:"), make("pre", { tabindex: "0" }, rules));
    }
    if (detail.picked) parts.push(make("p", {}, `The reader looks first, and takes its ${detail.picked} backend.`));
    if (detail.rules.length) parts.push(make("h3", {}, "Rules"));
    for (const each of detail.rules) parts.push(...rule(each));
    parts.push(make("p", { class: "quiet" }, `${detail.unharmed} of ${detail.all} rules: nothing lost`));
    if (detail.packets.length) {
      parts.push(make("h3", {}, "Packets, before and after"), packets(detail.packets));
    }
    if (detail.warnings.length) {
      parts.push(make("h3", {}, "Warnings"), known(detail.warnings));
    }
    if (detail.prints !== null) {
      parts.push(make("h3", {}, "What both print of the same rules in the kernel"),
        prints(detail.prints, of.writer, of.reader));
    }
    if (text !== null) {
      parts.push(make("h3", {}, "Commands, as a shell script"), copy("Copy the script", text), make("pre", { tabindex: "0" }, text));
    }
    panel.replaceChildren(...parts);
    panel.hidden = false;
    panel.scrollTop = 0;
    document.body.classList.add("opened");
  };

  // By click.
  document.addEventListener("click", (event) => {
    const square = event.target.closest("td[id]");
    if (square && squares.has(square)) {
      rove(square);
      open(square, value("by-family"));
    }
  });

  // By keyboard.
  const rove = (square) => {
    const table = square.closest("table");
    for (const other of table.querySelectorAll('td[tabindex="0"]')) other.tabIndex = -1;
    square.tabIndex = 0;
    const of = squares.get(square);
    square.setAttribute("aria-label", `${of.writer} writes, ${of.reader} reads: ${outcome(of, value("by-operation"), value("by-family")) || "not done"}`);
    square.focus({ preventScroll: false });
  };
  const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && opened) {
      shut();
      event.preventDefault();
      return;
    }
    const square = event.target.closest ? event.target.closest("td[id]") : null;
    if (!square || !squares.has(square)) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      open(square, value("by-family")).then(() => panel.focus());
      return;
    }
    const step = steps[event.key];
    if (!step) return;
    event.preventDefault();
    const rows = square.closest("tbody").rows;
    let [at, to] = [square.parentElement.rowIndex - 1, square.cellIndex];
    do {
      [at, to] = [at + step[0], to + step[1]];
      const next = rows[at] && rows[at].cells[to];
      if (!next || to === 0) return;
      if (next.id && next.offsetParent) {
        rove(next);
        return;
      }
    } while (true);
  });

  // By address: a cause; or WRITER/READER/SCENARIO, with a family or without.
  const go = () => {
    let address;
    try {
      address = decodeURIComponent(location.hash.slice(1));
    } catch {
      return;
    }
    const named = address.startsWith("cause-") ? document.getElementById(address) : null;
    if (named) {
      const hash = location.hash;
      shut();
      history.replaceState(null, "", hash);
      for (let of = named; of; of = of.parentElement.closest("details")) if (of.tagName === "DETAILS") of.open = true;
      named.scrollIntoView();
      return;
    }
    if (address.split("/").length < 3) return;
    const families = /\/(ipv4|ipv6)$/.exec(address);
    const bare = address.replace(/\/(ipv4|ipv6)$/, "");
    const candidates = [address, bare, bare + "/ipv4", bare + "/ipv6"];
    const square = candidates.map((id) => document.getElementById(id)).find((found) => squares.has(found));
    if (!square) return;
    if (!square.offsetParent) filters.reset();
    setTimeout(() => {
      square.scrollIntoView({ block: "center", inline: "center" });
      rove(square);
      open(square, families ? families[1] : "");
    });
  };
  addEventListener("hashchange", go);
  go();
})();
