/** All checks, in the order in which their findings are shown. */
import { deletedFiles } from './deleted-files.ts';
import { mappedDevices, openDevices } from './devices.ts';
import type { Check } from './finding.ts';
import { overlayWatches } from './inotify.ts';
import { kernelObjects } from './kernel-objects.ts';
import { unsupportedMounts } from './mounts.ts';
import { besideInit, nestedNamespaces, sharedNetns, sysvOutside } from './namespaces.ts';
import { pipesOutside } from './pipes-outside.ts';
import { seccompListener, tracedProcesses } from './processes.ts';
import { pingSockets, socketsOutside, uncheckedSockets, unsupportedSockets } from './sockets.ts';
import { streamsOutside } from './streams-outside.ts';
import { tcpConnections } from './tcp.ts';
import { terminals } from './terminals.ts';
import { unixSocketsOutside } from './unix-sockets.ts';

export const checks: readonly Check[] = [
  streamsOutside,
  terminals,
  pipesOutside,
  unixSocketsOutside,
  socketsOutside,
  unsupportedSockets,
  pingSockets,
  uncheckedSockets,
  tcpConnections,
  openDevices,
  mappedDevices,
  kernelObjects,
  overlayWatches,
  deletedFiles,
  nestedNamespaces,
  sharedNetns,
  sysvOutside,
  besideInit,
  tracedProcesses,
  seccompListener,
  unsupportedMounts,
];
