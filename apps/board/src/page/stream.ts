/** The stream of what happens, and what the top of the page says about it. */

type Hear = (event: string, data: unknown) => void;

/** Milliseconds until a stream that was refused is asked for again. */
const AGAIN_MS = 3_000;

/** Hears everything that is told at that address, as long as the page is there. */
export function listen(address: string, events: readonly string[], hear: Hear): void {
  const source = new EventSource(address);
  const told = (event: string) => (message: MessageEvent<string>) => {
    say(event === 'away' ? 'away' : 'live');
    hear(event, JSON.parse(message.data) as unknown);
  };
  for (const event of [...events, 'away', 'back']) source.addEventListener(event, told(event));
  source.addEventListener('open', () => say('live'));
  source.addEventListener('error', () => {
    say('lost');
    // Otherwise the browser tries again by itself.
    if (source.readyState !== EventSource.CLOSED) return;
    setTimeout(() => void again(address, events, hear), AGAIN_MS);
  });
}

/** The session may have ended: then the page is asked for anew, and leads to the log-in. */
async function again(address: string, events: readonly string[], hear: Hear): Promise<void> {
  const answer = await fetch(location.pathname, {
    redirect: 'manual',
    headers: { accept: 'text/html' },
  }).catch(() => null);
  if (answer?.type === 'opaqueredirect') location.reload();
  else listen(address, events, hear);
}

const SAID = { live: 'live', lost: 'connection lost', away: 'Redis is away' } as const;

/** Once for each change: it is read out. */
function say(how: keyof typeof SAID): void {
  const place = document.getElementById('live');
  if (place === null || place.dataset['how'] === how) return;
  place.dataset['how'] = how;
  place.textContent = SAID[how];
}
