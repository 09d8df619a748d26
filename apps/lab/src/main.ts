/** Two or more real hosts on one machine: what `cmt lab up|ls|exec|down` and the live tests are made of. */
export { listDaemons, signalDaemon, spawnInHost, type LabDaemon } from './daemon.ts';
export { labDown } from './down.ts';
export { fabricExec, fabricExecArgv, labExec, labExecArgv, labRun, labScript } from './exec.ts';
export { CONTAINER_BRIDGE, cutFromGateway, cutHostsApart, cutLink, restoreLink } from './fabric.ts';
export { rebootHost } from './host.ts';
export { DEFAULT_CACHE_DIR, DEFAULT_STATE_ROOT, hostOf } from './lab.ts';
export type { Lab, LabHost, LabOptions, ProcessId } from './lab.ts';
export { LabError } from './lab-error.ts';
export { isAlive } from './processes.ts';
export { ensureRootfs } from './rootfs.ts';
export { labLs } from './state.ts';
export { labUp } from './up.ts';
