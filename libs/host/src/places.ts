/** Where a migration's things lie on a host: every path is made from the configuration, the migration and the epoch alone. */
import { join } from 'node:path';
import type { Epoch, MigrationId, WorkerConfig } from '@cmt/contracts';

type Roots = Pick<WorkerConfig, 'imagesDir' | 'stateDir'>;

/** Everything that lives only while the migration does; on tmpfs, gone with the machine's memory like the processes themselves. */
export const volatileDir = (roots: Roots, migration: MigrationId): string => join(roots.imagesDir, migration);

/** `1/`, `2/`, … `final/` of one epoch: the one path by which they are reached, wherever they lie. */
export const imagesDir = (roots: Roots, migration: MigrationId, epoch: Epoch): string =>
  join(volatileDir(roots, migration), String(epoch));

/** Where images lie that find no room in memory; `imagesDir` leads there then (steps/images-room.ts). */
export const spillDir = (roots: Pick<Roots, 'stateDir'>, migration: MigrationId): string =>
  join(spillRoot(roots), migration);

export const spillRoot = ({ stateDir }: Pick<Roots, 'stateDir'>): string => join(stateDir, 'images');

/** The action script of a held restore and what it waits on. */
export const gateDir = (roots: Roots, migration: MigrationId, epoch: Epoch): string =>
  join(volatileDir(roots, migration), `${epoch}-gate`);

/** Where the source's CRIU waits until it is told to dump. */
export const startGateDir = (roots: Roots, migration: MigrationId, epoch: Epoch): string =>
  join(volatileDir(roots, migration), `${epoch}-start-gate`);

/** What the daemon that fills a restored copy's memory, its guard and the worker tell each other. */
export const lazyDir = (roots: Roots, migration: MigrationId, epoch: Epoch): string =>
  join(volatileDir(roots, migration), `${epoch}-lazy`);

/** Outputs of finished steps and CRIU configuration files. */
export const notesDir = (roots: Roots, migration: MigrationId, epoch: Epoch): string =>
  join(volatileDir(roots, migration), `${epoch}-notes`);

/** Where the tools' logs of one operation (`dump-1`, `dump-final`, `restore`) are kept after the migration has ended. */
export const logDir = (roots: Roots, migration: MigrationId, epoch: Epoch, operation: string): string =>
  join(roots.stateDir, 'logs', migration, String(epoch), operation);

export const journalDir = (roots: Pick<Roots, 'stateDir'>): string => join(roots.stateDir, 'journal');
