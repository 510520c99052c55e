r"""Writes `math_pairs.jsonl`: pairs of answers labelled by hand, from mathematics and not from what any program says.

`python tests/golden/make_math_pairs.py` writes it; a test compares the file with these tables. A line is `left || right`.
Conventions where taste decides: a percent sign and a unit may be left out, but no other unit may stand there; a number that is
rounded is another number; a list without brackets is a set, one in round brackets has an order.
"""

from __future__ import annotations

import json
from pathlib import Path

FILE = Path(__file__).with_name("math_pairs.jsonl")

EQUAL = {
    "number": r"""
12 || 12.0
1,200 || 1200
-3 || −3
0.5 || .5
1\,000\,000 || 1000000
1 000 000 || 1,000,000
007 || 7
+5 || 5
$18 || 18
18 dollars || $18.00
\$2,350 || 2350
42 || \boxed{42}
\text{42} || 42
3.0 \times 10^{8} || 300000000
6.02e23 || 6.02 \times 10^{23}
1.5 \cdot 10^{-3} || 0.0015
2.5 million || 2,500,000
twenty-one || 21
three hundred and five || 305
seven || 7
12^{2} || 144
2^{10} || 1024
2^{100} || 1267650600228229401496703205376
0.\overline{3} || \frac{1}{3}
0.1\overline{6} || \frac16
5! || 120
\binom{5}{2} || 10
\dbinom{10}{3} || 120
\frac{10!}{8!} || 90
\lfloor 3.7 \rfloor || 3
|-5| || 5
2^{2000} \cdot 2 || 2^{2001}
x = 12 || 12
n=7 || 7
\frac{6}{2} = 3 || 3
50\% || 50%
12\frac{1}{2}\% || 12.5%
""",
    "fraction": r"""
\frac{1}{2} || 0.5
\frac12 || 1/2
\dfrac{3}{4} || \tfrac{3}{4}
\frac{2}{4} || \frac{1}{2}
-\frac{1}{2} || \frac{-1}{2}
\frac{1}{-2} || -0.5
2\frac{1}{3} || \frac{7}{3}
3 1/2 || 3.5
{1 \over 2} || \frac{1}{2}
\frac{22}{7} || 22/7
\left(\frac{2}{3}\right)^{2} || \frac{4}{9}
\frac{1}{\frac{1}{3}} || 3
\frac{2^{10}}{2^{12}} || \frac{1}{4}
0.125 || \frac{1}{8}
\frac{100!}{99!} || 100
""",
    "root": r"""
\sqrt{12} || 2\sqrt{3}
\frac{1}{\sqrt{2}} || \frac{\sqrt{2}}{2}
\sqrt{4} || 2
\sqrt[3]{8} || 2
\sqrt[3]{16} || 2\sqrt[3]{2}
\frac{8}{\sqrt[3]{7}} || \frac{8\sqrt[3]{49}}{7}
2^{1/2} || \sqrt{2}
\sqrt{3+2\sqrt{2}} || 1+\sqrt{2}
\frac{1}{1+\sqrt{2}} || \sqrt{2}-1
\sqrt 5 || \sqrt{5}
5^{\frac{1}{3}} || \sqrt[3]{5}
\frac{\sqrt{5}+1}{2} || \frac{1}{2}+\frac{\sqrt{5}}{2}
\sqrt{\frac{3}{4}} || \frac{\sqrt{3}}{2}
\sqrt{50}-\sqrt{8} || 3\sqrt{2}
\sqrt[4]{4} || \sqrt{2}
√3/3 || \frac{1}{\sqrt{3}}
""",
    "pi and trigonometry": r"""
2\pi || 2*pi
\frac{\pi}{4} || \pi/4
\sin 30^\circ || \frac{1}{2}
\sin\left(\frac{\pi}{6}\right) || \frac{1}{2}
\cos \frac{\pi}{4} || \frac{\sqrt{2}}{2}
\tan 60^{\circ} || \sqrt{3}
\sin^2 x + \cos^2 x || 1
\sin(2x) || 2\sin x\cos x
\cos(2x) || 1 - 2\sin^2(x)
\arctan(1) || \frac{\pi}{4}
\tan^{-1}(1) || \arctan 1
\sec x || \frac{1}{\cos x}
\cot(x) || \frac{\cos x}{\sin x}
\pi^2/6 || \frac{\pi^{2}}{6}
\sin 75^\circ || \frac{\sqrt{6}+\sqrt{2}}{4}
""",
    "logarithm": r"""
\ln 8 || 3\ln 2
\log_2 8 || 3
\log_{10} 1000 || 3
\frac{\ln 9}{\ln 3} || 2
\log_2 3 || \frac{\ln 3}{\ln 2}
\ln(e^2) || 2
e^{\ln 5} || 5
\ln 6 || \ln 2 + \ln 3
\frac{\log 2}{\log 2-\log 3} || \frac{\ln 2}{\ln \frac{2}{3}}
-\ln 2 || \ln\frac{1}{2}
""",
    "complex": r"""
(1+i)^2 || 2i
\frac{1}{i} || -i
i^2 || -1
3+4i || 4i+3
(2+i)(2-i) || 5
e^{i\pi} || -1
\frac{1+i}{1-i} || i
\sqrt{-4} || 2i
\frac{-1+\sqrt{3}i}{2} || -\frac{1}{2}+\frac{\sqrt{3}}{2}i
|3+4i| || 5
""",
    "polynomial": r"""
x^2-1 || (x-1)(x+1)
(x+1)^2 || x^2+2x+1
xy || x \cdot y
xy || yx
2ab || 2ba
x(x+1) || x^2 + x
\frac{x^2-1}{x-1} || x+1
n(n+1)/2 || \frac{n^2+n}{2}
\binom{n}{2} || \frac{n(n-1)}{2}
(n+1)! || (n+1)n!
2^{n+1} || 2 \cdot 2^n
x^{-1} || \frac{1}{x}
a^3-b^3 || (a-b)(a^2+ab+b^2)
\frac{a}{b}+\frac{c}{d} || \frac{ad+bc}{bd}
3x - 2 || -2 + 3x
e^{x+1} || e \cdot e^x
\frac{e^x+e^{-x}}{2} || \cosh x
(x^2+1)^{1/2} || \sqrt{x^2+1}
4x^2+4x+1 || (2x+1)^2
f(x) = 2x+1 || 2x+1
y=2x+1 || 2x + 1
x_1 + x_2 || x_2 + x_1
2RC+R+C || R+C+2CR
\lfloor n/2 \rfloor + \lceil n/2 \rceil || n
(-1)^{2n} || 1
m n-\lfloor m / 2\rfloor || mn - \left\lfloor \frac{m}{2} \right\rfloor
\frac{x}{2} || 0.5x
""",
    "equation": r"""
y = 2x + 1 || y=1+2x
x + y = 1 || y + x = 1
2x + 2y = 2 || x + y = 1
x^2+y^2=4 || 4 = x^2 + y^2
3x-4y+5=0 || 3x - 4y = -5
x = 1, y = 2 || y = 2, x = 1
(x-1)^2+(y-2)^2=9 || (x-1)^{2}+(y-2)^{2}=3^{2}
""",
    "interval and inequality": r"""
[0,1] || \left[0, 1\right]
(0, \infty) || x > 0
x \in [1,2] || [1,2]
x \in [1,2] || 1 \le x \le 2
x > 5 || 5 < x
x \geq 2 || x >= 2
(-\infty, 3) || x < 3
(-\infty,0)\cup(1,\infty) || (1,\infty)\cup(-\infty,0)
x<0 \text{ or } x>1 || (-\infty,0)\cup(1,\infty)
-1 < x < 1 || (-1,1)
[-\frac{1}{2}, 3) || [-0.5, 3)
0 < x \leq 2 || (0,2]
k \geqslant 2 || k \ge 2
x \neq 0 || x≠0
t < \frac{1}{2} || t<0.5
""",
    "set and tuple": r"""
\{1,2,3\} || \{3,1,2\}
1, 2, 3 || 3, 2, 1
1, 2 and 3 || \{1,2,3\}
(1,2) || (1.0, 2)
(1,2) || \left(1,2\right)
(x,y) = (3,-1) || (3,-1)
x=1 \text{ or } x=-2 || -2, 1
\{(1,2),(3,4)\} || (3,4),(1,2)
(\frac{1}{2}, \sqrt{2}) || (0.5, \frac{2}{\sqrt{2}})
1 and 2 || 2, 1
\pm 2 || 2, -2
x = \pm\sqrt{3} || \sqrt{3}, -\sqrt{3}
1 \pm \sqrt{2} || 1+\sqrt{2}, 1-\sqrt{2}
\{ 0 , \frac{2}{4} \} || \{0.5, 0\}
(\sqrt{12}, 1) || (2\sqrt{3}, 1)
\emptyset || \varnothing
\emptyset || no solution
(1,2,3) || (1, 2, 3)
""",
    "matrix": r"""
\begin{pmatrix}1&2\\3&4\end{pmatrix} || \begin{bmatrix}1&2\\3&4\end{bmatrix}
\begin{pmatrix} 1 & 0 \\ 0 & 1 \end{pmatrix} || \begin{pmatrix}1&0\\0&1\end{pmatrix}
\begin{pmatrix}1\\2\\3\end{pmatrix} || \begin{bmatrix} 1 \\ 2 \\ 3 \end{bmatrix}
\begin{pmatrix}\frac{1}{2}&0\\0&1\end{pmatrix} || \begin{pmatrix}0.5&0\\0&1\end{pmatrix}
\begin{pmatrix}1&2\\3&4\end{pmatrix} || [[1,2],[3,4]]
""",
    "unit": r"""
5 km || 5000 m
10 cm || 10\text{ cm}
10 || 10 cm
3 \text{ cm}^2 || 3 cm^2
3 square meters || 3 m^2
2 hours || 120 minutes
1 kg || 1000 g
9.8 m/s^2 || 9.8\ \mathrm{m/s^2}
30^\circ || 30 degrees
45^{\circ} || 45
12 apples || 12
6 feet || 72 inches
\$5 || 5 dollars
20\text{ miles} || 20
""",
    "choice and word": r"""
A || (A)
B || \text{(B)}
C || C.
D || (D) 42
yes || Yes
Yes. || \text{yes}
True || true
Monday || monday
\text{Paris} || Paris
no solution || No solutions.
The even numbers || even numbers
""",
    "time and ratio": r"""
3:05 PM || 3:05 p.m.
3:05 pm || 3:05PM
3:2 || 3 : 2
6:4 || 3:2
2020-12-25 || 2020-12-25.
""",
    "infinity": r"""
\infty || infinity
+\infty || \infty
-\infty || -infinity
""",
}

UNEQUAL = {
    "number": r"""
12 || 13
12 || -12
12 || 1.2
12 || 120
1,200 || 12,00
1000 || 1,0
100 || 99
1e6 || 1e7
6.02e23 || 6.02e22
2^{10} || 2^{11}
2^{100} || 2^{100}+1
123456789012345678901 || 123456789012345678902
twenty-one || 20
twenty-one || 201
0.\overline{3} || 0.3
5! || 5
5! || 25
3!! || 720
\binom{5}{2} || \frac{5}{2}
\binom{5}{2} || 52
12_8 || 12
101_2 || 101
1010_2 || 1010_3
3-5 || -2
3 to 5 || 3
10-20 || 10
1.5 || 15
0 || 1
2^{2000} || 2^{2001}
100! || 100
2.5 million || 2.5 billion
""",
    "rounding": r"""
0.333 || \frac{1}{3}
0.33 || 1/3
3.14 || \pi
3.14159 || \pi
1.414 || \sqrt{2}
2.718 || e
0.667 || 2/3
1.73 || \sqrt{3}
12.5 || 12.51
99.9 || 100
\frac{22}{7} || \pi
0.6931 || \ln 2
""",
    "percent": r"""
50% || 0.5
50\% || \frac{1}{2}
0.5% || 0.5\cdot 100
12% || 0.12
1% || 100
150% || 1.5
5% || 0.05
""",
    "fraction": r"""
\frac{1}{2} || \frac{2}{1}
\frac{3}{4} || \frac{4}{3}
\frac{1}{2} || 12
\frac12 || \frac{1}{12}
2\frac{1}{3} || \frac{2}{3}
3 1/2 || 31/2
\frac{1}{2} || -\frac{1}{2}
\frac{355}{113} || \pi
\frac{7}{8} || \frac{8}{9}
\frac{a}{b} || \frac{b}{a}
\frac{1}{2^{10}} || \frac{1}{2^{11}}
""",
    "root": r"""
\sqrt{12} || 3\sqrt{2}
\sqrt{2} || 2
\sqrt{2} || \sqrt{3}
\sqrt[3]{8} || \sqrt{8}
\sqrt[3]{8} || 3\sqrt{8}
\sqrt{2}+\sqrt{3} || \sqrt{5}
\sqrt{a^2+b^2} || a+b
2\sqrt{3} || 3\sqrt{2}
\sqrt{3} || -\sqrt{3}
1+\sqrt{2} || 1-\sqrt{2}
\sqrt{5}/2 || \sqrt{5/2}
""",
    "pi and trigonometry": r"""
2\pi || \pi
\pi^2 || 2\pi
\sin x || \cos x
\sin 30^\circ || \cos 30^\circ
\sin^2 x || \sin x^2
\tan x || \cot x
\frac{\pi}{3} || \frac{\pi}{6}
\sin(2x) || 2\sin x
\arctan 2 || \arctan\frac{1}{2}
\pi || 180
""",
    "logarithm": r"""
\ln 2 || \ln 3
\log_2 8 || 8
\log_2 3 || \log_3 2
\ln(2+3) || \ln 2+\ln 3
\ln x || \log_2 x
\frac{\ln 7}{4} || \ln\frac{7}{4}
""",
    "complex": r"""
3+4i || 3-4i
3+4i || 4+3i
2i || 2
i || -i
i^2 || 1
(1+i)^2 || 2
1+i || 1+j2
""",
    "polynomial": r"""
x^2-1 || (x-1)^2
x+1 || x-1
xy || x+y
2x || x^2
x^2 || x_2
n! || n
(n+1)! || n!+1
2^n || n^2
x^3 || x^2
3x || 3y
\binom{n}{2} || \frac{n(n+1)}{2}
n(n+1)/2 || n(n-1)/2
2n || 2n+1
2^{n-1} || 2^{n+1}
\frac{1}{n} || \frac{1}{n+1}
e^x || e^{-x}
\lfloor n/2 \rfloor || \lceil n/2 \rceil
\lfloor n/2 \rfloor || n/2
(-1)^n || 1
a_1 || a_2
x^2+y^2 || (x+y)^2
|x| || x
\frac{k!}{3k} || \frac{k}{3}
""",
    "equation": r"""
y = 2x + 1 || y = 2x - 1
x + y = 1 || x - y = 1
x^2+y^2=4 || x^2+y^2=2
x=1, y=2 || x=2, y=1
3x-4y+5=0 || 3x+4y+5=0
x = 5 || x = -5
y = 2x || x = 2y
""",
    "interval and inequality": r"""
[0,1] || (0,1)
[0,1] || [0,1)
(0,1] || [0,1)
x > 5 || x \geq 5
x > 5 || x < 5
x > 5 || 5
(0,\infty) || (-\infty,0)
[1,2] || [1,3]
(-\infty,0)\cup(1,\infty) || (0,1)
-1 < x < 1 || -1 \le x \le 1
x \neq 0 || x = 0
(0, \infty) || x \ge 0
x \in [1,2] || \{1,2\}
[1,2] || [2,1]
t < \frac{1}{2} || t > \frac{1}{2}
x<0 \text{ or } x>1 || 0<x<1
""",
    "set and tuple": r"""
(1,2) || (2,1)
(1,2) || \{1,2\}
(1,2) || [1,2]
\{1,2,3\} || \{1,2\}
\{1,2\} || \{1,3\}
1, 2 || 1
\{1,2,3\} || \{1,2,4\}
(3,-1) || (3,1)
(1,2,3) || (1,2)
\pm 2 || 2
\pm 2 || 4, -4
1 \pm \sqrt{2} || 1+\sqrt{2}
\{(1,2),(3,4)\} || \{(2,1),(4,3)\}
\emptyset || 0
\emptyset || \{0\}
no solution || 0
(0,0) || 0
\{5\} || \{5,5.5\}
[[1,2],[3,4]] || [1,2,3,4]
""",
    "matrix": r"""
\begin{pmatrix}1&2\\3&4\end{pmatrix} || \begin{pmatrix}1&3\\2&4\end{pmatrix}
\begin{pmatrix}1&0\\0&1\end{pmatrix} || \begin{pmatrix}0&1\\1&0\end{pmatrix}
\begin{pmatrix}1\\2\end{pmatrix} || \begin{pmatrix}2\\1\end{pmatrix}
\begin{pmatrix}1&2\\3&4\end{pmatrix} || \begin{pmatrix}1&2\\3&-4\end{pmatrix}
\begin{pmatrix}1&2\end{pmatrix} || 12
\begin{vmatrix}1&2\\3&4\end{vmatrix} || \begin{pmatrix}1&2\\3&4\end{pmatrix}
""",
    "unit": r"""
5 m || 5 cm
5 m || 5 s
5 km || 500 m
3 cm^2 || 3 cm
3 m^2 || 3 m^3
3 cm^2 || 3 m^2
2 hours || 2 minutes
1 kg || 100 g
9.8 m/s^2 || 9.8 m/s
6 feet || 6 inches
10 V || 10 A
5 km/h || 5 m/s
""",
    "shotgun": r"""
12 || 12 or 13
12 || 11, 12, 13
12 || 12, 13
12 || 13 or 12
12 || either 12 or 13
12 || 12/13
A || A or B
A || (A) or (B)
A || A, B, C, D
C || A, B, C
C || (A), (B), (C), (D)
B || A and B
A || all of the above
\frac{1}{2} || \frac{1}{2}, \frac{1}{3}
yes || yes or no
42 || I think 12, no wait it is 42
5 || 5 = 6
x = 1 || x = 1 or x = 2
7 || 1 2 3 4 5 6 7
7 || any number from 1 to 10
""",
    "choice and word": r"""
A || B
(A) || (D)
yes || no
true || false
Monday || Tuesday
Paris || not Paris
dog || god
no || on
even || odd
A || a train
north || south
infinitely many || 0
The answer || 7
no solution || infinitely many solutions
CO || OC
""",
    "time and ratio": r"""
3:05 PM || 3:05 AM
3:05 PM || 3:50 PM
10:30 || 1030
10:30 || 10.30
3:2 || 2:3
3:2 || 3.2
2020-12-25 || 2020-12-24
12/25/2020 || 25/12/2020
""",
    "infinity": r"""
\infty || -\infty
\infty || 10^{100}
\infty || 0
\infty || undefined
""",
    "look-alike": r"""
а || a
А || B
12 || l2
10 || 1O
0 || O
х+1 || y+1
""",
    "large": r"""
9^{9^{9}} || 9^{9^{8}}
9**9**9 || 9
100000000! || 1
10^{1000} || 10^{1001}
2^{1000000} || 2^{1000001}
""",
}


def rows() -> list[dict[str, object]]:
    made: list[dict[str, object]] = []
    for equal, tables in ((True, EQUAL), (False, UNEQUAL)):
        for kind, table in tables.items():
            for line in table.strip().splitlines():
                left, right = line.split(" || ")
                made.append({"left": left, "right": right, "equal": equal, "kind": kind})
    return made


if __name__ == "__main__":
    FILE.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows()), encoding="utf-8")
    print(f"{len(rows())} pairs, {sum(bool(r['equal']) for r in rows())} of them equal")
