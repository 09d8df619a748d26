/** Devices, open or mapped: their state is in the hardware or the driver (criu/files.c, dump_chrdev). */
import { findingAbout, findingsByTarget, type Check } from './finding.ts';
import { isTerminal } from './terminals.ts';

/** /dev/null, zero, full, random, urandom (major 1), tty and ptmx (5), tun (10:200), autofs (10:235). */
const DUMPABLE = /^(1:\d+|5:[02]|10:200|10:235)$/;

const remedy =
  'Have the program close the device before the move; CRIU has plugins for a few (AMD and NVIDIA GPUs).';

export const openDevices: Check = (snapshot) =>
  findingsByTarget(snapshot, (file) => {
    const { status, target } = file;
    const isDevice = status?.kind === 'character' || status?.kind === 'block';
    if (!isDevice || isTerminal(file) || (status.kind === 'character' && DUMPABLE.test(status.device)))
      return null;
    return {
      code: 'DEVICE',
      severity: 'hard',
      reason: `CRIU cannot dump the device ${target} (${status.kind} ${status.device})`,
      remedy,
    };
  });

export const mappedDevices: Check = (snapshot) =>
  snapshot.processes.flatMap((process) =>
    process.mappings
      .filter((name) => name.startsWith('/dev/'))
      .map((name) =>
        findingAbout(snapshot, process, [], {
          code: 'DEVICE_MAPPING',
          severity: 'hard',
          reason: `it has memory of the device ${name} mapped`,
          remedy,
        }),
      ),
  );
