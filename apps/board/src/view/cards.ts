/** Hosts and migrations as the fleet page shows them. Pure. */
import { isEnd, type MigrationReport } from '@cmt/contracts';
import type { SeenHost } from '@cmt/queue';
import type { HostCard, MigrationCard } from './fleet-view.ts';
import { shownMessage } from './hidden.ts';
import { stripOf } from './strip.ts';

/** Containers that a card names. */
const NAMED = 12;

/** A host's card. @param drained it takes no new container. @param now milliseconds since 1970 */
export function hostCard(seen: SeenHost, drained: boolean, now: number): HostCard {
  const { name, state, ageMs, record } = seen;
  const { facts, endpoint, labels, containers, cmtVersion } = record;
  return {
    ...{ name, state, labels, drained },
    address: endpoint.address,
    // To the second: the card is sent anew whenever it changes.
    silentSince: state === 'online' ? null : Math.round((now - ageMs) / 1000) * 1000,
    ...{ cpus: facts.cpus, memoryTotal: facts.memoryTotal, imagesFree: facts.imagesFree },
    memoryAvailable: facts.memoryAvailable,
    software: [
      `Linux ${facts.kernel}`,
      ...Object.entries(facts.runtimes).map(([runtime, version]) => `${runtime} ${version}`),
      ...(facts.criu === null ? [] : [`criu ${facts.criu}`]),
      `cmt ${cmtVersion}`,
    ],
    problem: facts.criu === null ? 'criu is not installed' : facts.criuProblem,
    containers: containers.slice(0, NAMED).map(({ id, status }) => ({ id, status })),
    containerCount: containers.length,
  };
}

export const migrationCard = (report: MigrationReport): MigrationCard => ({
  ...{ id: report.id, container: report.container, from: report.from, to: report.to },
  ...{ state: report.state, step: report.step, totalMs: report.totalMs, blackoutMs: report.blackoutMs },
  ended: isEnd(report.state),
  requestedAt: report.request.requestedAt,
  failure:
    report.failure === null ? null : { code: report.failure.code, message: shownMessage(report.failure) },
  strip: stripOf(report),
});
