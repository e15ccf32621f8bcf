// What the edit page puts in the place of its textarea: bundled once into automagik_prompts/console/static/editor.js.
import { autocompletion, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { setDiagnostics } from "@codemirror/lint";
import { EditorState } from "@codemirror/state";
import {
  Decoration, EditorView, MatchDecorator, ViewPlugin, drawSelection, highlightActiveLine, highlightSpecialChars, keymap,
  lineNumbers,
} from "@codemirror/view";

const INVISIBLE = /[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb]/g;

const tags = new MatchDecorator({ regexp: /\{\{[^{}]*\}\}/g, decoration: Decoration.mark({ class: "cm-tag" }) });
const marked = ViewPlugin.fromClass(
  class {
    constructor(view) { this.decorations = tags.createDeco(view); }
    update(update) { this.decorations = tags.updateDeco(update, this.decorations); }
  },
  { decorations: (plugin) => plugin.decorations },
);

function codePoint(code) {
  const shown = document.createElement("span");
  shown.className = "code-point";
  shown.textContent = "U+" + code.toString(16).toUpperCase().padStart(4, "0");
  shown.title = "A character that nobody would see";
  return shown;
}

// Offer the names that may stand between braces, once two of them are open.
function completing(names) {
  return (context) => {
    const found = context.matchBefore(/\{\{[#\/]?[\w .@-]*$/);
    if (!found) return null;
    const inside = found.text.match(/^\{\{(#(?:if|unless|each|with) )?\s*/)[0].length;
    const end = context.state.sliceDoc(context.pos, context.pos + 2) === "}}" ? "" : "}}";
    const options = names.map(({ label, text }) => ({ label, type: text.startsWith("{{#") ? "keyword" : "variable",
      apply: (text.startsWith("{{#") ? label : text.slice(2, -2)) + end }));
    return { from: found.from + inside, options, validFor: /^[#\w .@-]*$/ };
  };
}

// Put an editor in the place of a textarea, which stays the form's field and is kept up to date.
export function edit(textarea, { nonce, names, changed, moved, save }) {
  const label = textarea.labels[0]?.textContent || textarea.getAttribute("aria-label");
  const view = new EditorView({
    state: EditorState.create({
      doc: textarea.value,
      extensions: [
        lineNumbers(), highlightActiveLine(), drawSelection(), history(), marked, EditorView.lineWrapping,
        highlightSpecialChars({ addSpecialChars: INVISIBLE, render: codePoint }),
        autocompletion({ override: [completing(names)] }),
        keymap.of([{ key: "Mod-s", run: () => (save(), true) }, ...completionKeymap, ...defaultKeymap, ...historyKeymap]),
        EditorView.cspNonce.of(nonce),
        EditorView.contentAttributes.of({ "aria-label": label, "aria-multiline": "true", tabindex: "0", spellcheck: "true" }),
        EditorView.updateListener.of((update) => {
          if (update.docChanged) {
            textarea.value = update.state.doc.toString();
            changed();
          }
          if (update.docChanged || update.selectionSet) {
            const at = update.state.selection.main.head, line = update.state.doc.lineAt(at);
            moved(line.number, at - line.from + 1);
          }
        }),
      ],
    }),
  });
  textarea.hidden = true;
  textarea.after(view.dom);
  return {
    show(problems) {
      const length = view.state.doc.length;
      view.dispatch(setDiagnostics(view.state, problems.filter((one) => one.to <= length)));
    },
    // Put a text in the place of what is selected, or of a part; where it says what stood there, only of that.
    replace(text, from = view.state.selection.main.from, to = view.state.selection.main.to, old = null) {
      if (old !== null && view.state.sliceDoc(from, to) !== old) return;
      view.dispatch({ changes: { from, to, insert: text }, selection: { anchor: from + text.length }, scrollIntoView: true });
      view.focus();
    },
    // Put in a tag; one that opens and closes goes around what is selected, and one goes on writing between the two.
    insert(text) {
      const { from, to } = view.state.selection.main, close = text.lastIndexOf("{{/");
      const head = close < 0 ? text : text.slice(0, close) + view.state.sliceDoc(from, to);
      const insert = close < 0 ? text : head + text.slice(close);
      view.dispatch({ changes: { from, to, insert }, selection: { anchor: from + head.length }, scrollIntoView: true });
      view.focus();
    },
    before: () => view.state.sliceDoc(0, view.state.selection.main.head),
    set(text) {
      if (text !== view.state.doc.toString()) view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text } });
    },
    goTo(number) {
      const line = view.state.doc.line(Math.min(Math.max(1, number), view.state.doc.lines));
      view.dispatch({ selection: { anchor: line.from }, effects: EditorView.scrollIntoView(line.from, { y: "center" }) });
      view.focus();
    },
  };
}
