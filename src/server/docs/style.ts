/** The style of the reference page. System fonts only: nothing is fetched. */
export const STYLE = `
:root{color-scheme:light dark;--bg:light-dark(#fdfcfa,#14161a);--panel:light-dark(#f4f1ec,#1b1e24);--line:light-dark(#e2dcd2,#2d323b);
--ink:light-dark(#23201b,#e4e2dd);--soft:light-dark(#6c655a,#9a9fa9);--accent:light-dark(#a4501b,#f0a566);--code:light-dark(#f1ede6,#0f1115);
--get:light-dark(#1c6b48,#6fd1a0);--post:light-dark(#1f5a9c,#7db7f5);--put:light-dark(#86590b,#e3b95b);--delete:light-dark(#a32b2b,#f28b82)}
:root.light{color-scheme:light}:root.dark{color-scheme:dark}
*{box-sizing:border-box}
html{scroll-behavior:smooth;scroll-padding-top:1rem}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.55 system-ui,sans-serif;display:grid;grid-template-columns:18rem minmax(0,1fr)}
code,pre,.path{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:.9em}
a{color:var(--accent);text-decoration:none}a:hover{text-decoration:underline}
nav{position:sticky;top:0;height:100vh;overflow:auto;padding:1.2rem 1rem;background:var(--panel);border-right:1px solid var(--line)}
nav h1{font-size:1.15rem;margin:0 0 .8rem;letter-spacing:-.01em}nav h1 small{font-weight:400;color:var(--soft)}
nav h2{font-size:.72rem;text-transform:uppercase;letter-spacing:.08em;color:var(--soft);margin:1.1rem 0 .25rem}
nav input{width:100%;padding:.4rem .6rem;border:1px solid var(--line);border-radius:6px;background:var(--bg);color:inherit;font:inherit}
nav a.route{display:flex;gap:.5rem;align-items:baseline;padding:.14rem .3rem;border-radius:5px;color:inherit;font-size:.87rem}
nav a.route:hover{background:var(--code);text-decoration:none}nav a.route b{flex:0 0 3.1rem;font-size:.66rem;text-align:right}
nav p{margin-top:1.4rem;font-size:.85rem;display:flex;gap:.8rem;align-items:center}
button{font:inherit;font-size:.8rem;padding:.2rem .6rem;border:1px solid var(--line);border-radius:6px;background:var(--bg);color:inherit;cursor:pointer}
main{padding:2rem clamp(1rem,4vw,3.5rem) 6rem;max-width:66rem}
main>h2{margin:3rem 0 .2rem;font-size:1.45rem;letter-spacing:-.015em}main>p{color:var(--soft);margin:.2rem 0 1rem;max-width:48rem}
section{border:1px solid var(--line);border-radius:10px;margin:1.1rem 0;overflow:hidden;background:var(--bg)}
section>header{padding:.8rem 1.1rem;background:var(--panel);border-bottom:1px solid var(--line)}
section>header h3{margin:0;font-size:1.02rem;display:flex;gap:.6rem;align-items:baseline;flex-wrap:wrap}
section>header h3 span:last-child{margin-left:auto;font-weight:400;font-size:.8rem;color:var(--soft)}
section>header .path{word-break:break-all;color:var(--soft);margin-top:.15rem}
.body{padding:.9rem 1.1rem 1.1rem}.body>p{margin:.1rem 0 .8rem;max-width:52rem}
.get{color:var(--get)}.post{color:var(--post)}.put{color:var(--put)}.delete{color:var(--delete)}
b.method{font-size:.75rem;letter-spacing:.04em}
h4{margin:1rem 0 .35rem;font-size:.75rem;text-transform:uppercase;letter-spacing:.07em;color:var(--soft)}h4:first-child{margin-top:0}
pre{margin:0;padding:.75rem .9rem;background:var(--code);border:1px solid var(--line);border-radius:7px;overflow:auto;white-space:pre}
.curl{position:relative}.curl button{position:absolute;top:.45rem;right:.45rem}
table{border-collapse:collapse;width:100%;font-size:.9rem}td{vertical-align:top;padding:.3rem .9rem .3rem 0;border-top:1px solid var(--line)}
tr:first-child td{border-top:0}td:first-child{white-space:nowrap}
td .type{color:var(--soft);font-size:.85em}.need{color:var(--accent);font-size:.78em}
details{border:1px solid var(--line);border-radius:7px;margin:.35rem 0;padding:.3rem .8rem}details[open]{padding-bottom:.6rem}
summary{cursor:pointer;font-size:.92rem}summary .type{color:var(--soft)}details>pre,details>div>pre{margin:.4rem 0}
ul.tree{list-style:none;margin:.1rem 0;padding-left:0}ul.tree ul.tree{padding-left:1.1rem;border-left:1px solid var(--line);margin-left:.25rem}
ul.tree li{margin:.16rem 0}ul.tree .type{color:var(--soft);font-size:.85em}ul.tree em{font-style:normal;color:var(--soft);font-size:.9em}
.hidden{display:none}#status{color:var(--soft)}
@media(max-width:52rem){body{display:block}nav{position:static;height:auto;border-right:0;border-bottom:1px solid var(--line)}#index{max-height:14rem;overflow:auto}}
@media(prefers-reduced-motion:reduce){html{scroll-behavior:auto}}
`;
