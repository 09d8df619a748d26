/** Post-copy by CRIU and runc alone: memory is asked for by its own page server, over a plain connection. */
import { removeContainer } from '../../apps/lab/src/demo/container.ts';
import { REDIS_ID as ID } from '../../apps/lab/src/demo/redis-container.ts';
import { runc } from './engine.ts';
import type { Mode } from './modes.ts';
import { freshImages, HEAD, MEMORY, prepareTarget, runScript } from './script-modes.ts';

const NAME = 'CRIU lazy pages';
const PORT = 2727;

/** Prints how many milliseconds the last page came after the restore. */
const SCRIPT = `${HEAD}
from=$8 port=${PORT}
ip link set $link nomaster
runc pause $id
mkfifo $images.ready
runc checkpoint $flags --lazy-pages --page-server 0.0.0.0:$port --status-fd 9 9>$images.ready $id </dev/null >/dev/null 2>&1 &
head -c 1 $images.ready >/dev/null
tar -C $images -cf - . | ssh $to "set -eu
  tar -C $images -xf -
  cd $images
  criu lazy-pages -D $images -W $images --page-server --address $from --port $port </dev/null >/dev/null 2>&1 &
  while [ ! -S $images/lazy-pages.socket ]; do sleep 0.002; done
  ip link set $there master $bridge
  runc restore -d --lazy-pages $flags --bundle $bundle $id </dev/null >/dev/null 2>&1
  restored=\\$(date +%s%3N)
  ip netns exec $id arping -q -A -c 1 -I eth0 $address
  wait
  echo \\$((\\$(date +%s%3N) - restored))"
wait
rm -f $images.ready
`;

export const lazyPages: Mode = {
  ...{ name: NAME, engine: runc },
  unavailable: () => Promise.resolve(null),
  async prepare(site, from, to) {
    for (const host of [from, to]) await freshImages(site, host, MEMORY);
    await prepareTarget(site, from, to);
  },
  async move(site, from, to) {
    const { lab } = site.fleet;
    const source = lab.hosts.find(({ name }) => name === from)?.address ?? '';
    const script = { name: NAME, text: SCRIPT, from, to, images: MEMORY, more: [source] };
    const printed = await runScript(site, script);
    for (const host of [from, to]) await freshImages(site, host, MEMORY);
    await removeContainer(lab, from, ID);
    return { imageBytes: null, criuMs: null, ownMs: null, drainMs: Number(printed) };
  },
};
