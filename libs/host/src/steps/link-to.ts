/** The link to the target, and word of the way that bytes take where there are two. */
import type { Route } from '@cmt/contracts';
import type { StepContext } from '../context.ts';
import type { Link } from '../transports/transport.ts';

const toldOf = new WeakSet<Link>();

/** @throws CmtError as `Links.get` */
export async function linkTo(route: Route, context: StepContext): Promise<Link> {
  const { config, migration, epoch, signal } = context;
  const link = await context.links.get(migration, epoch, route, signal);
  if (config.agentless === undefined || toldOf.has(link)) return link;
  toldOf.add(link);
  const [from, to] = [config.name, route.peer];
  const text =
    link.way === 'direct'
      ? `bytes go straight from ${from} to ${to}`
      : `${from} cannot reach ${to}: bytes go through the machine that asked for the migration`;
  context.tell({ kind: link.way === 'direct' ? 'note' : 'warning', text });
  return link;
}
