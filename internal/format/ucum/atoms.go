package ucum

import (
	"math/big"
	"strings"
	"sync"
)

type prefix struct{ symbol, value string }

// prefixes, the longer symbols first.
//
//nolint:gochecknoglobals // constant table
var prefixes = []prefix{
	{"Ki", "1024"},
	{"Mi", "1048576"},
	{"Gi", "1073741824"},
	{"Ti", "1099511627776"},
	{"da", "1e1"},
	{"Y", "1e24"},
	{"Z", "1e21"},
	{"E", "1e18"},
	{"P", "1e15"},
	{"T", "1e12"},
	{"G", "1e9"},
	{"M", "1e6"},
	{"k", "1e3"},
	{"h", "1e2"},
	{"d", "1e-1"},
	{"c", "1e-2"},
	{"m", "1e-3"},
	{"u", "1e-6"},
	{"n", "1e-9"},
	{"p", "1e-12"},
	{"f", "1e-15"},
	{"a", "1e-18"},
	{"z", "1e-21"},
	{"y", "1e-24"},
}

type atom struct {
	measure
	metric bool
}

// bases are the dimensions. A star marks those that take prefixes.
const bases = `m* s* g* rad* K* C* cd* mol* eq* osm* pH Np* B* B[SPL]* B[V]* B[mV]* B[uV]* B[10.nV]* B[W]* B[kW]* bit_s ` +
	`[iU]* [arb'U] [USP'U] [GPL'U] [MPL'U] [APL'U] [beth'U] [anti'Xa'U] [todd'U] [dye'U] [smgy'U] [bdsk'U] [ka'U] [knk'U] ` +
	`[mclg'U] [tb'U] [CCID_50] [TCID_50] [EID_50] [PFU] [FFU] [CFU] [IR] [BAU] [AU] [Amb'a'1'U] [PNU] [Lf] [D'ag'U] [FEU] ` +
	`[ELU] [EU] [ARU] [hnsf'U] [hp'_X] [hp'_C] [hp'_M] [hp'_Q] [kp_X] [kp_C] [kp_M] [kp_Q] [mesh_i] [smoot] [m/s2/Hz^0.5]`

// derived are the other units in terms of those above them: symbol, value, unit. A star marks those that take prefixes.
// Values are UCUM's. A value with a plus sign also has an offset: Cel is "1 K" and 273.15.
const derived = `
10*     10              1
10^     10              1
[pi]    3.1415926535897932384626433832795028841971693993751058209749445923 1
%       1e-2            1
[ppth]  1e-3            1
[ppm]   1e-6            1
[ppb]   1e-9            1
[pptr]  1e-12           1
sr*     1               rad2
Hz*     1               s-1
N*      1               kg.m/s2
Pa*     1               N/m2
J*      1               N.m
W*      1               J/s
A*      1               C/s
V*      1               J/C
F*      1               C/V
Ohm*    1               V/A
S*      1               A/V
Wb*     1               V.s
Cel*    1+273.15        K
T*      1               Wb/m2
H*      1               Wb/A
lm*     1               cd.sr
lx*     1               lm/m2
Bq*     1               s-1
Gy*     1               J/kg
Sv*     1               J/kg
deg     2               [pi].rad/360
'       1               deg/60
''      1               '/60
gon*    0.9             deg
l*      1               dm3
L*      1               l
ar*     100             m2
min     60              s
h       60              min
d       24              h
a_t     365.24219       d
a_j     365.25          d
a_g     365.2425        d
a       1               a_j
wk      7               d
mo_s    29.53059        d
mo_j    1               a_j/12
mo_g    1               a_g/12
mo      1               mo_j
t*      1e3             kg
bar*    1e5             Pa
u*      1.6605402e-24   g
eV*     1.60217733e-19  J
[AU_l]  149597870691    m
[c]*    299792458       m/s
[h]*    6.6260755e-34   J.s
[k]*    1.380658e-23    J/K
[e]*    1.60217733e-19  C
[g]*    9.80665         m/s2
[ly]*   1               [c].a_j
gf*     1               g.[g]
Ky*     1               cm-1
Gal*    1               cm/s2
dyn*    1               g.cm/s2
erg*    1               dyn.cm
P*      1               dyn.s/cm2
G*      1e-4            T
Ci*     3.7e10          Bq
R*      2.58e-4         C/kg
RAD*    100             erg/g
REM*    1               RAD
[in_i]  2.54            cm
[ft_i]  12              [in_i]
[yd_i]  3               [ft_i]
[mi_i]  5280            [ft_i]
[fth_i] 6               [ft_i]
[nmi_i] 1852            m
[kn_i]  1               [nmi_i]/h
[sin_i] 1               [in_i]2
[sft_i] 1               [ft_i]2
[syd_i] 1               [yd_i]2
[cin_i] 1               [in_i]3
[cft_i] 1               [ft_i]3
[mil_i] 1e-3            [in_i]
[hd_i]  4               [in_i]
[ft_us] 1200            m/3937
[in_us] 1               [ft_us]/12
[yd_us] 3               [ft_us]
[mi_us] 5280            [ft_us]
[acr_us] 43560          [ft_us]2
[gal_us] 231            [in_i]3
[qt_us] 1               [gal_us]/4
[pt_us] 1               [qt_us]/2
[gil_us] 1              [pt_us]/4
[foz_us] 1              [gil_us]/4
[fdr_us] 1              [foz_us]/8
[min_us] 1              [fdr_us]/60
[tbs_us] 1              [foz_us]/2
[cup_us] 16             [tbs_us]
[tsp_us] 1              [tbs_us]/3
[gal_br] 4.54609        l
[qt_br] 1               [gal_br]/4
[pt_br] 1               [qt_br]/2
[foz_br] 1              [pt_br]/20
[foz_m] 30              mL
[cup_m] 240             mL
[tsp_m] 5               mL
[tbs_m] 15              mL
[gr]    64.79891        mg
[lb_av] 7000            [gr]
[lbf_av] 1              [lb_av].[g]
[oz_av] 1               [lb_av]/16
[dr_av] 1               [oz_av]/16
[lcwt_av] 112           [lb_av]
[scwt_av] 100           [lb_av]
[ston_av] 20            [scwt_av]
[lton_av] 20            [lcwt_av]
[stone_av] 14           [lb_av]
[pwt_tr] 24             [gr]
[oz_tr] 20              [pwt_tr]
[lb_tr] 12              [oz_tr]
[sc_ap] 20              [gr]
[dr_ap] 3               [sc_ap]
[oz_ap] 8               [dr_ap]
[lb_ap] 12              [oz_ap]
[degR]  5               K/9
[degF]  5/9+45967/180   K
[degRe] 5/4+273.15      K
cal_[15]* 4.1858        J
cal_[20]* 4.1819        J
cal_m*  4.19002         J
cal_IT* 4.1868          J
cal_th* 4.184           J
cal*    1               cal_th
[Cal]   1               kcal_th
[Btu]   1.05435         kJ
[HP]    550             [ft_i].[lbf_av]/s
atm     101325          Pa
att*    98066.5         Pa
[psi]   1               [lbf_av]/[in_i]2
m[Hg]*  133.3220        kPa
m[H2O]* 9.80665         kPa
[in_i'Hg] 1             m[Hg].[in_i]/m
[in_i'H2O] 1            m[H2O].[in_i]/m
[PRU]   1               mm[Hg].s/mL
[wood'U] 1              mm[Hg].min/L
[diop]  1               /m
[MET]   3.5             mL/min/kg
[drp]   1               ml/20
[Ch]    1               mm/3
[car_m] 0.2             g
kat*    1               mol/s
U*      1               umol/min
[IU]*   1               [iU]
g%*     1               g/dl
[S]     1e-13           s
[HPF]   1               1
[LPF]   100             1
By*     8               bit_s
bit*    1               bit_s
Ao      0.1             nm
b       100             fm2
st*     1               m3
mho*    1               S
circ    2               [pi].rad
[bu_us] 2150.42         [in_i]3
[sph]   4               [pi].sr
`

//nolint:gochecknoglobals // constant: the parsed tables above
var atoms = sync.OnceValue(func() map[string]*atom {
	all := map[string]*atom{"1": {measure: one()}}
	for symbol := range strings.FieldsSeq(bases) {
		symbol, metric := strings.CutSuffix(symbol, "*")
		all[symbol] = &atom{measure: measure{factor: big.NewRat(1, 1), dims: map[string]int{symbol: 1}}, metric: metric}
	}
	for line := range strings.Lines(strings.TrimPrefix(derived, "\n")) {
		f := strings.Fields(line)
		// "10*" is a symbol that ends in a star, not a symbol that takes prefixes.
		symbol, metric := strings.CutSuffix(f[0], "*")
		if f[0] == "10*" {
			symbol, metric = f[0], false
		}
		p := parser{text: f[2], atoms: all}
		m, err := p.main()
		if err != nil {
			panic("ucum: unit " + symbol + ": " + err.Error()) // a constant of this package, tested
		}
		value, offset, affine := strings.Cut(f[1], "+")
		a := &atom{measure: measure{factor: new(big.Rat).Mul(m.factor, ratio(value)), dims: m.dims}, metric: metric}
		if affine {
			a.offset = ratio(offset)
		}
		all[symbol] = a
	}
	return all
})

// ratio reads a constant of this package.
func ratio(s string) *big.Rat {
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		panic("ucum: number " + s)
	}
	return r
}
