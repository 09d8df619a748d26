/** Every fault by its name in the table of cells. */
import type { FaultName } from '../cells.ts';
import type { Fault } from './fault.ts';
import { fillTarget } from './fill-space.ts';
import { killProcess } from './kill-process.ts';
import { killArmedRestore, killTool } from './kill-tool.ts';
import { hostsApart, offRedis, offTheNetwork } from './links.ts';
import { reboot } from './reboot.ts';
import { killRedis } from './redis.ts';
import { stopProcess } from './stop-process.ts';
import { LONGER_THAN_A_LOCK_MS } from './victims.ts';

export const faults: Readonly<Record<FaultName, Fault>> = {
  'kill-coordinator': killProcess('coordinator'),
  'kill-source-worker': killProcess('source'),
  'kill-target-worker': killProcess('target'),
  'kill-source-criu': killTool('criu', 'source'),
  'kill-waiting-criu': killTool('criu', 'source', 'waiting'),
  'kill-waiting-runc': killTool('runc', 'source', 'waiting'),
  'kill-waiting-restore': killArmedRestore,
  'kill-source-runc': killTool('runc', 'source'),
  'kill-target-criu': killTool('criu', 'target'),
  'kill-target-runc': killTool('runc', 'target'),
  'stop-coordinator': stopProcess('coordinator'),
  'stop-source-worker': stopProcess('source'),
  'stop-target-worker': stopProcess('target'),
  'restart-redis': killRedis(0),
  'redis-outage': killRedis(LONGER_THAN_A_LOCK_MS),
  'empty-redis': killRedis(0, false),
  'cut-hosts-apart': hostsApart,
  'cut-source-off': offTheNetwork('source'),
  'cut-target-off': offTheNetwork('target'),
  'cut-source-from-redis': offRedis('source'),
  'cut-target-from-redis': offRedis('target'),
  'fill-target': fillTarget,
  'reboot-source': reboot('source'),
  'reboot-target': reboot('target'),
};
