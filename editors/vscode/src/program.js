// Editors seldom start with a project's environment on their path.
const fs = require("node:fs");
const path = require("node:path");

// The program of the first folder's `.venv` that has it; else `name`, for the path to find.
exports.programIn = (folders, name) => {
  if (name !== path.basename(name)) return name;
  const places = [path.join(".venv", "bin", name), path.join(".venv", "Scripts", `${name}.exe`)];
  const files = folders.flatMap((folder) => places.map((place) => path.join(folder, place)));
  return files.find((file) => fs.existsSync(file)) ?? name;
};
