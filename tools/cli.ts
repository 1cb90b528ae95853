#!/usr/bin/env node
/** Entry of the `iommusim` command. */
import './compiler.ts';
import { engine } from './engine.ts';
import { processIo } from './io.ts';
import { main } from './program.ts';

// A reader that has seen enough (head, less) closes the pipe: that is no error.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit();
    throw error;
  });
}

process.exitCode = await main(process.argv.slice(2), processIo(), engine);
