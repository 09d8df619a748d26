/** Whether a migration is one that a signed order about a host asks for, and nothing else. Pure. */
import { MigrationOptions, UNPLACED, type FleetOrder, type MigrationRequest } from '@cmt/contracts';

/**
 * A drain moves containers away from its host, to a host that is found for each; a bring-back moves what its order names, back to
 * its host. Options are the order's own: whoever writes to Redis can add none.
 */
export function isUnderOrder(request: MigrationRequest, order: FleetOrder): boolean {
  if (!request.id.startsWith(`${order.id}-`)) return false;
  if (request.sourceBundle !== undefined || request.targetBundle !== undefined) return false;
  if (!sameOptions(request, order)) return false;
  return order.kind === 'drain' ? isAway(request, order) : isBack(request, order);
}

const isAway = ({ source, target, place }: MigrationRequest, order: FleetOrder): boolean =>
  source === order.host &&
  target === UNPLACED &&
  place !== undefined &&
  JSON.stringify(place.labels) === JSON.stringify(order.labels);

const isBack = ({ source, target, container, runtime }: MigrationRequest, order: FleetOrder): boolean =>
  target === order.host &&
  order.moves.some(
    (move) => move.container === container && move.runtime === runtime && move.from === source,
  );

const sameOptions = ({ options }: MigrationRequest, { force }: FleetOrder): boolean =>
  JSON.stringify(options) === JSON.stringify(MigrationOptions.parse({ force }));
