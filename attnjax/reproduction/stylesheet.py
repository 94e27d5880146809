"""The report's style sheet: readable at arm's length on a phone, on a desk and on paper, by day and by night."""

CSS = """
:root { --ink:#1b2430; --soft:#5a6675; --line:#dde2e8; --paper:#fdfdfb; --card:#ffffff; --tint:#f3f5f4;
  --accent:#0b5c8f; --good:#13693f; --good-bg:#e4f3ea; --bad:#a3231b; --bad-bg:#fbe7e5;
  --warn:#7a5200; --warn-bg:#fdf3da;
  --text:Charter,"Bitstream Charter","Iowan Old Style","Sitka Text",Cambria,Georgia,serif;
  --label:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;
  --mono:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace; }
@media (prefers-color-scheme:dark) { :root { --ink:#e4e8ec; --soft:#9aa6b2; --line:#33404d; --paper:#141a21;
  --card:#1a222b; --tint:#1e2731; --accent:#79bce8; --good:#7fd3a3; --good-bg:#173526; --bad:#f2a099; --bad-bg:#43201d;
  --warn:#ecc878; --warn-bg:#3a2e12; } }
* { box-sizing:border-box; }
html { scroll-behavior:smooth; -webkit-text-size-adjust:100%; }
body { margin:0; background:var(--paper); color:var(--ink); font:1.06rem/1.6 var(--text); }
header.top, main, footer { max-width:60rem; margin:0 auto; padding:0 1.25rem; }
header.top { padding-top:3.5rem; }
h1, h2, h3 { line-height:1.2; font-weight:600; text-wrap:balance; }
h1 { font-size:clamp(2rem,6vw,2.9rem); margin:.15rem 0 .8rem; letter-spacing:-.015em; }
h2 { font-size:clamp(1.45rem,4vw,1.85rem); margin:.15rem 0 .6rem; letter-spacing:-.01em; }
h3 { font:600 .8rem/1.3 var(--label); color:var(--soft); margin:0 0 .6rem; }
p { margin:0 0 1rem; }
.kicker { font:600 .82rem/1.3 var(--label); color:var(--accent); margin:0; }
.lede { font-size:1.16rem; max-width:42rem; text-wrap:pretty; }
a { color:var(--accent); text-underline-offset:.15em; }
a:focus-visible, .wide:focus-visible { outline:3px solid var(--accent); outline-offset:2px; }
code { font:.88em/1.5 var(--mono); overflow-wrap:anywhere; }
nav ol { list-style:none; display:flex; flex-wrap:wrap; gap:.25rem 1.4rem; margin:1.8rem 0 0; padding:.75rem 0;
  border:solid var(--line); border-width:1px 0; font:.92rem/1.5 var(--label); }
section { padding-top:3rem; }
section + section { margin-top:3rem; border-top:1px solid var(--line); }
.facts { display:grid; grid-template-columns:repeat(auto-fill,minmax(12rem,1fr)); gap:.7rem 1.6rem; margin:0;
  font-family:var(--label); }
.facts dt { font-size:.78rem; color:var(--soft); }
.facts dd { margin:0; font-size:.92rem; line-height:1.4; overflow-wrap:anywhere; font-variant-numeric:tabular-nums; }
.notice { background:var(--warn-bg); color:var(--warn); font:.92rem/1.5 var(--label); padding:.7rem .9rem;
  border-radius:6px; }
.proof, .run { background:var(--tint); padding:1rem 1.1rem 1.1rem; border-radius:8px; margin-top:1.2rem; }
figure { margin:1.8rem 0; }
figure.picture { background:var(--card); border:1px solid var(--line); border-radius:8px; overflow:hidden; }
figure.picture div { background:#fff; padding:1rem; }
figure.picture img { display:block; max-width:100%; height:auto; margin:0 auto; }
figure.picture figcaption { padding:.85rem 1.1rem; border-top:1px solid var(--line);
  font-size:.98rem; line-height:1.5; }
figcaption p { margin:0; }
figure.table figcaption { margin-bottom:.4rem; }
.wide { overflow-x:auto; }
table { width:100%; border-collapse:collapse; font:.92rem/1.45 var(--label); font-variant-numeric:tabular-nums; }
thead th { text-align:left; font-weight:600; font-size:.82rem; color:var(--soft); vertical-align:bottom; }
th, td { padding:.5rem .9rem .5rem 0; vertical-align:top; }
th:last-child, td:last-child { padding-right:0; }
th.n, td.n { text-align:right; }
td.n { white-space:nowrap; }
td.n small { display:block; font-size:.76rem; color:var(--soft); }
.wide td:first-child { min-width:6.5rem; }
thead { border-top:2px solid var(--ink); border-bottom:1px solid var(--ink); }
tbody tr { border-bottom:1px solid var(--line); }
tbody tr:last-child { border-bottom:2px solid var(--ink); }
.under p:first-child { max-width:44rem; }
.under { display:flex; gap:1rem; justify-content:space-between; margin-top:.5rem; font-size:.95rem; color:var(--soft); }
.under p { margin:0; }
.files { font:.82rem/1.6 var(--label); white-space:nowrap; margin-left:auto !important; }
.files a + a { margin-left:.6rem; }
figcaption .files { margin-top:.3rem; }
.claims td > span, .claims td > small { display:block; }
.claims { table-layout:fixed; }
.claims th:nth-child(1) { width:38%; }
.claims th:nth-child(2) { width:11%; }
.claims td:nth-child(1) { font:1rem/1.45 var(--text); }
.claims td:nth-child(n+3) { overflow-wrap:anywhere; }
.claims small { color:var(--soft); font:.78rem/1.45 var(--label); margin-top:.25rem; overflow-wrap:anywhere; }
.claims td > .verdict { display:inline-block; font-weight:600; white-space:nowrap;
  padding:.05rem .55rem; border-radius:99px;
  background:var(--tint); color:var(--soft); }
.holds .verdict { background:var(--good-bg) !important; color:var(--good) !important; }
.fails .verdict { background:var(--bad-bg) !important; color:var(--bad) !important; }
.commands div { display:grid; grid-template-columns:minmax(0,19rem) 1fr; gap:.2rem 1.5rem; padding:.5rem 0;
  border-bottom:1px solid var(--line); }
.commands dd { margin:0; }
footer { padding-top:2.5rem; padding-bottom:4rem; color:var(--soft); font-size:.95rem; }
@media (max-width:42rem) {
  header.top { padding-top:2rem; }
  .commands div { grid-template-columns:1fr; }
  figure.picture div { padding:.4rem; }
  figure.picture img { width:100% !important; }
  .facts { grid-template-columns:repeat(2,minmax(0,1fr)); }
  .claims thead { position:absolute; width:1px; height:1px; overflow:hidden; clip-path:inset(50%); }
  .claims, .claims tbody, .claims tr, .claims td { display:block; width:100% !important; }
  .claims tr { padding:.8rem 0; }
  .claims td { padding:.15rem 0; display:grid !important; grid-template-columns:5.5rem minmax(0,1fr); }
  .claims td::before { content:attr(data-label); color:var(--soft); font:.82rem/1.75 var(--label);
    grid-row:1 / span 2; }
  .claims td > small { grid-column:2; }
  .claims td > .verdict { justify-self:start; }
  .claims td:nth-child(1) { display:block !important; }
  .claims td:nth-child(1)::before { content:none; }
}
@media print {
  :root { --ink:#000; --soft:#444; --line:#bbb; --paper:#fff; --card:#fff; --tint:#fff; --accent:#000; --good-bg:#fff;
    --bad-bg:#fff; --warn-bg:#fff; --good:#000; --bad:#000; --warn:#000; }
  @page { margin:18mm 16mm; }
  body { font-size:10.5pt; }
  header.top, main, footer { max-width:none; padding-left:0; padding-right:0; }
  header.top { padding-top:0; }
  nav, .files { display:none; }
  section.experiment { break-before:page; }
  figure, tr, .proof, .run { break-inside:avoid; }
  h2, h3, figcaption { break-after:avoid; }
  .proof, .run, .notice { border:1px solid var(--line); }
  .wide { overflow:visible; }
}
"""
