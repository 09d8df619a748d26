/** Processes that CRIU cannot take hold of, or whose system calls somebody outside decides. */
import { findingAbout, type Check } from './finding.ts';

export const tracedProcesses: Check = (snapshot) =>
  snapshot.processes
    .filter(({ tracer }) => tracer !== 0)
    .map((process) =>
      findingAbout(snapshot, process, [], {
        code: 'TRACED',
        severity: 'hard',
        reason: `it is traced by process ${process.tracer}, and only one can trace it`,
        remedy: 'End the debugger, strace or profiler.',
      }),
    );

export const seccompListener: Check = (snapshot) => {
  const init = snapshot.processes.find(({ pid }) => pid === snapshot.init);
  if (init === undefined || !snapshot.circumstances.seccompNotify) return [];
  return [
    findingAbout(snapshot, init, [], {
      code: 'SECCOMP_NOTIFY',
      severity: 'soft',
      reason: 'a listener outside decides some of its system calls, and stays behind',
      remedy: 'Take SCMP_ACT_NOTIFY out of the seccomp profile in config.json.',
    }),
  ];
};
