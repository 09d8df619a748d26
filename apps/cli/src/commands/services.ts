/** Flags that `worker` and `coordinator` share. */
import type { Command } from 'commander';

/** Repeatable: each use adds one. */
export const collect = (text: string, before: string[] | undefined): string[] => [...(before ?? []), text];

export const withService = (command: Command): Command =>
  command
    .option('--trusted-keys-dir <dir>', '*.pub files (Ed25519, PEM): whose jobs are obeyed')
    .option('--health-port <port>', 'health endpoint on 127.0.0.1; 0 for none (default: 0)')
    .option('--concurrency <n>', 'how many at the same time')
    .option('--hook <program>', 'a program that hooks may run: an absolute path; repeatable', collect);
