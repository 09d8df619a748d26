/** Post-copy by CRIU and runc alone: memory is asked for by its own page server, over a plain connection. */
import { labExec } from '@cmt/lab';
import { bundleOf, hostLinkOf, removeContainer } from '../../apps/lab/src/demo/container.ts';
import { CONTAINER_BRIDGE } from '../../apps/lab/src/fabric.ts';
import { REDIS_ID as ID, redisAddress } from '../../apps/lab/src/demo/redis-container.ts';
import type { Mode } from './modes.ts';
import { freshImages, HEAD, LIMIT_MS, MEMORY, prepareTarget } from './script-modes.ts';

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
  name: 'CRIU lazy pages',
  unavailable: () => Promise.resolve(null),
  async prepare(site, from, to) {
    for (const host of [from, to]) await freshImages(site, host, MEMORY);
    await prepareTarget(site, from, to);
  },
  async move(site, from, to) {
    const { lab } = site.fleet;
    const source = lab.hosts.find(({ name }) => name === from)?.address ?? '';
    const words = [ID, to, MEMORY, bundleOf(ID), hostLinkOf(ID), CONTAINER_BRIDGE, redisAddress(lab), source];
    const argv = ['sh', '-c', SCRIPT, 'sh', ...words];
    const { code, stdout, stderr } = await labExec(lab, from, argv, { timeoutMs: LIMIT_MS });
    if (code !== 0) throw new Error(`CRIU lazy pages: ${stderr.trim().slice(-500)}`);
    for (const host of [from, to]) await freshImages(site, host, MEMORY);
    await removeContainer(lab, from, ID);
    return { imageBytes: null, criuMs: null, ownMs: null, drainMs: Number(stdout) };
  },
};
