/** Name and version of the program, as traces and statistics carry them. */
import { readFileSync } from 'node:fs';

interface Manifest {
  readonly name: string;
  readonly version: string;
}

/** The package's manifest stands above the sources and above the compiled tree. */
function manifest(): Manifest {
  for (const relative of ['../package.json', '../../package.json']) {
    try {
      return JSON.parse(readFileSync(new URL(relative, import.meta.url), 'utf8')) as Manifest;
    } catch {
      // Not here: the sources are one level nearer to the manifest than the compiled tree.
    }
  }
  return { name: 'iommusim', version: '0.0.0' };
}

const { name, version } = manifest();
export const PROGRAM: string = name;
export const VERSION: string = version;
