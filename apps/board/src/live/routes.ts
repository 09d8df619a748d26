/** The streams of the fleet and of single migrations. */
import { MigrationId } from '@cmt/contracts';
import type { RedisConnection } from '@cmt/queue';
import { Router } from 'express';
import { FleetLooks } from './fleet-looks.ts';
import { LookOut } from './look-out.ts';
import { MigrationLooks } from './migration-looks.ts';
import { Streams } from './streams.ts';

/** Milliseconds between looks. */
const FLEET_MS = 1_000;
const MIGRATION_MS = 500;

export interface Live {
  readonly routes: Router;
  close(): void;
}

export function liveRoutes(redis: RedisConnection): Live {
  const streams = new Streams();
  const fleet = new LookOut(new FleetLooks(redis), FLEET_MS);
  const migrations = new Map<string, LookOut>();
  const lookOutFor = (id: MigrationId): LookOut => {
    // What nobody watches any more is forgotten when the next one is asked for.
    for (const [other, lookOut] of migrations) if (lookOut.watched === 0) migrations.delete(other);
    const known = migrations.get(id) ?? new LookOut(new MigrationLooks(redis, id), MIGRATION_MS);
    migrations.set(id, known);
    return known;
  };
  const routes = Router();
  routes.get('/live/fleet', (_request, response) => streams.send(response, fleet));
  routes.get('/live/migrations/:id', (request, response) => {
    const id = MigrationId.safeParse(request.params.id);
    if (id.success) streams.send(response, lookOutFor(id.data));
    else response.status(404).send('No migration has such a name.\n');
  });
  return { routes, close: () => streams.close() };
}
