import js from "@eslint/js";
import globals from "globals";

export default [
  { ignores: ["app/theatre/js/streaming-markdown.js"] }, // another project's, as it is
  js.configs.recommended,
  {
    languageOptions: { ecmaVersion: 2024, sourceType: "module", globals: globals.browser },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      eqeqeq: "error",
      "no-var": "error",
      "prefer-const": "error",
      "no-eval": "error",
      "no-implied-eval": "error",
      "no-new-func": "error",
      "no-shadow": "error",
      "max-lines": ["error", 350],
      "max-lines-per-function": ["error", { max: 60, skipComments: true, skipBlankLines: true }],
      "no-restricted-properties": [
        "error",
        ...["innerHTML", "outerHTML", "insertAdjacentHTML", "write"].map((property) => ({ property, message: "Data never becomes markup." })),
      ],
      // The forms that theatre.py can join into one file.
      "no-restricted-syntax": [
        "error",
        { selector: "ExportDefaultDeclaration, ExportAllDeclaration, ExportNamedDeclaration[declaration=null]", message: "Export a declaration by its name." },
        // The lines of a module are sent without their indentation and comments.
        { selector: "Literal[value=/[/][/] /], TemplateElement[value.raw=/[/][/] /]", message: "This would be taken for a comment." },
        { selector: "TemplateElement[value.raw=/\\n/]", message: "A template's text shall not span lines." },
        { selector: "ImportDefaultSpecifier[parent.source.value=/^[.]/]", message: "Import by name." },
      ],
    },
  },
  { files: ["app/theatre/js/words*.js"], rules: { "max-lines": "off" } }, // a language in one file
  { files: ["tests/js/**"], languageOptions: { globals: globals.node } },
];
