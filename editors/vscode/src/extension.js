// Starts `dagent lsp` and hands it .dagent and YAML files; the server leaves alone what is no spec.
const vscode = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");
const { programIn } = require("./program");

let client;

async function start() {
  const [named, ...args] = vscode.workspace.getConfiguration("dagent").get("command");
  const folders = (vscode.workspace.workspaceFolders ?? []).map((folder) => folder.uri.fsPath);
  const command = programIn(folders, named);
  const watched = vscode.workspace.createFileSystemWatcher("**/*.{dagent,yaml,yml,jsonl,csv,parquet,py}");
  client = new LanguageClient(
    "dagent",
    "dagent",
    { command, args },
    {
      documentSelector: [
        { scheme: "file", language: "dagent" },
        { scheme: "file", language: "yaml" },
      ],
      synchronize: { fileEvents: watched },
    },
  );
  try {
    await client.start();
  } catch (error) {
    const remedy = "Install it with `pip install 'dagent[lsp]'`, or name it in the setting dagent.command.";
    vscode.window.showErrorMessage(`\`${[command, ...args].join(" ")}\` does not start. ${remedy}`);
  }
}

async function stop() {
  const running = client;
  client = undefined;
  if (running?.isRunning()) await running.stop();
}

exports.activate = async (context) => {
  const restart = async () => {
    await stop();
    await start();
  };
  context.subscriptions.push(
    vscode.commands.registerCommand("dagent.restart", restart),
    vscode.workspace.onDidChangeConfiguration((change) => {
      if (change.affectsConfiguration("dagent.command")) return restart();
    }),
  );
  await start();
};

exports.deactivate = stop;
