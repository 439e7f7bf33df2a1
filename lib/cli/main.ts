#!/usr/bin/env node
import { dispatch } from './dispatch.ts';
import { ExitCode } from './exit-codes.ts';

// `vmhatch … | head` ends quietly when head has seen enough, as a program does that SIGPIPE ends.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(ExitCode.brokenPipe);
    throw error;
  });
}

process.exitCode = await dispatch(process.argv.slice(2));
