/** Objects of the kernel behind file descriptors: CRIU knows a handful (criu/files.c, dump_one_file). */
import { findingAbout, findingsByTarget, type Check, type Words } from './finding.ts';

const SUPPORTED = new Set(['eventfd', 'eventpoll', 'inotify', 'fanotify', 'signalfd', 'timerfd', 'pidfd']);

export const kernelObjects: Check = (snapshot) => [
  ...findingsByTarget(snapshot, ({ target }) => refusal(target)),
  // A ring that is mapped lives on when its descriptor is closed.
  ...snapshot.processes.flatMap((process) =>
    process.mappings.flatMap((name) => {
      const words = process.files.some(({ target }) => target === name) ? null : refusal(name);
      return words === null ? [] : [findingAbout(snapshot, process, [], words)];
    }),
  ),
];

function refusal(target: string): Words | null {
  const kind = objectKind(target);
  if (kind === null || SUPPORTED.has(kind)) return null;
  if (kind === 'io_uring')
    return {
      code: 'IO_URING',
      severity: 'hard',
      reason: 'CRIU cannot dump io_uring',
      remedy:
        'Run the program without it: UV_USE_IO_URING=0 for Node.js, `io_uring_disabled=2` or a seccomp profile in general.',
    };
  return {
    code: 'KERNEL_OBJECT',
    severity: 'hard',
    reason: `CRIU cannot dump ${target}`,
    remedy: 'Have the program close it before the move.',
  };
}

/** `anon_inode:[eventfd]`, and `anon_inode:inotify` as older kernels write it. */
export const objectKind = (target: string): string | null =>
  /^anon_inode:\[?([^\]]+)\]?$/.exec(target)?.[1] ?? null;
