/** The pages as they are sent: everything else is drawn by the script. */

const head = (title: string): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>${title}</title>
<link rel="icon" href="/assets/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/assets/page.css">
</head>`;

/** Of the fleet and of single migrations. */
export const shellPage = (): string => `${head('cmt')}
<body>
<a class="skip" href="#main">Skip to the content</a>
<header class="top">
<a class="mark" href="/" aria-label="cmt, the fleet"><span aria-hidden="true">cmt</span></a>
<nav aria-label="Pages"><a href="/">Fleet</a><a href="/queues/">Queues</a></nav>
<p id="live" class="live" role="status">connecting</p>
<form method="post" action="/logout"><button class="quiet">Sign out</button></form>
</header>
<main id="main" tabindex="-1"></main>
<noscript><p class="notice">This page needs JavaScript. <code>cmt status</code> shows the same.</p></noscript>
<script type="module" src="/assets/page.js"></script>
</body>
</html>
`;

/** @param problem what was wrong with the last try; plain text without markup */
export const loginPage = (problem?: string): string => `${head('cmt: sign in')}
<body class="login">
<main id="main">
<h1><span class="mark">cmt</span></h1>
<form method="post" action="/login">
<label for="token">Token of the board</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus
  spellcheck="false"${problem === undefined ? '' : ' aria-invalid="true" aria-describedby="problem"'}>
${problem === undefined ? '' : `<p id="problem" class="problem" role="alert">${problem}</p>`}
<button class="primary">Sign in</button>
</form>
<p class="hint"><code>cmt board</code> says where its token is when it starts.</p>
</main>
</body>
</html>
`;
